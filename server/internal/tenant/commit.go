package tenant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// settleTimeout is how long a commit whose outcome is unknown is looked for.
const settleTimeout = 5 * time.Second

// put stores doc as the next version of r together with an entry, and shows it.
// It returns nil also if the store said otherwise because its answer was lost.
func (s *Service) put(ctx context.Context, caller access.Caller, action access.Action, r store.Record, doc any, about detail) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return fault.New(fault.Internal, "%s %q cannot be written", r.Kind, r.Name).Because(err)
	}
	r.Format, r.Doc = format, text
	err = s.commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{s.entry(caller, action, r, about)}})
	if err != nil {
		return err
	}
	r.Version++
	return s.show(context.WithoutCancel(ctx), r)
}

func (s *Service) commit(ctx context.Context, c store.Change) error {
	_, err := s.store.Commit(ctx, c)
	switch fault.KindOf(err) {
	case 0, fault.Conflict, fault.Invalid:
		return err
	}
	if len(c.Puts) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	want := c.Puts[0]
	got, loadErr := s.store.Load(ctx, want.Tenant, want.Kind, want.Name)
	if loadErr == nil && got.ID == want.ID && got.Version == want.Version+1 && bytes.Equal(got.Doc, want.Doc) {
		return nil
	}
	return err
}

// detail is what an entry says beside who, what and when. It holds no secret.
type detail map[string]any

func (s *Service) entry(caller access.Caller, action access.Action, r store.Record, about detail) store.Entry {
	e := store.Entry{
		At: s.instant(), Tenant: r.Tenant, Caller: caller.ID, Action: string(action),
		Kind: r.Kind, RecordID: r.ID, Name: r.Name,
	}
	if about != nil {
		e.Detail, _ = json.Marshal(about) // texts, numbers, booleans and lists of them
	}
	return e
}

// allow is [access.Allow]; a refusal leaves an entry in the tenant in which the
// caller acts.
func (s *Service) allow(ctx context.Context, caller access.Caller, action access.Action, tenant string, r store.Record) error {
	refusal := access.Allow(caller, action, access.Target{Tenant: tenant})
	if refusal == nil {
		return nil
	}
	return s.refuse(ctx, caller, action, r, refusal)
}

// refuse leaves an entry about a refusal and returns it.
func (s *Service) refuse(ctx context.Context, caller access.Caller, action access.Action, r store.Record, refusal error) error {
	r.Tenant = caller.Tenant
	e := s.entry(caller, action, r, nil)
	e.Reason = fault.Public(refusal)
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return fault.New(fault.Denied, "%s", fault.Public(refusal)).Because(fmt.Errorf("store the entry about it: %w", err))
	}
	return refusal
}

// instant returns the time as stores keep it.
func (s *Service) instant() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// randomID returns n random bytes in hex.
func randomID(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // does not fail since Go 1.24
	return hex.EncodeToString(b)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

func unmarshal(r store.Record, v any) error {
	if err := r.CheckFormat(format); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(r.Doc))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.New(fault.Internal, "%s %q is damaged", r.Kind, r.Name).Because(err)
	}
	return nil
}

// checkVersion compares with what the caller demanded, 0 for anything.
func checkVersion(r store.Record, ifVersion int64) error {
	if ifVersion != 0 && ifVersion != r.Version {
		return fault.New(fault.Conflict, "%s %q has version %d, not %d", r.Kind, r.Name, r.Version, ifVersion).Because(ErrPrecondition)
	}
	return nil
}

// retry calls f again while others change the same record. The caller holds
// s.change, so these are other processes.
func retry(f func() error) error {
	var err error
	for range attempts {
		if err = f(); fault.KindOf(err) != fault.Conflict || isPrecondition(err) {
			return err
		}
	}
	return err
}
