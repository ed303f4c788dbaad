package custody

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

// commit returns nil if c is stored, also if the store said otherwise because
// its answer was lost.
func (s *Service) commit(ctx context.Context, c store.Change) error {
	_, err := s.commitAt(ctx, c)
	return err
}

// commitAt is commit with the seq of the last entry, 0 if the answer was lost.
func (s *Service) commitAt(ctx context.Context, c store.Change) (seq int64, err error) {
	seq, err = s.store.Commit(ctx, c)
	switch fault.KindOf(err) {
	case 0, fault.Conflict, fault.Invalid:
		return seq, err
	}
	if len(c.Puts) == 0 {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	want := c.Puts[len(c.Puts)-1] // all are stored or none
	got, loadErr := s.store.Load(ctx, want.Tenant, want.Kind, want.Name)
	if loadErr == nil && got.ID == want.ID && got.Version == want.Version+1 && bytes.Equal(got.Doc, want.Doc) {
		return 0, nil
	}
	return 0, err
}

// allow decides about an action on the named key of the tenant of caller, on
// what is not a key if the name is empty. A refusal leaves an entry.
func (s *Service) allow(ctx context.Context, caller access.Caller, action access.Action, name string) error {
	return s.decide(ctx, caller, action, s.target(caller.Tenant, name))
}

// target is a key as decisions see it.
func (s *Service) target(tenant, name string) access.Target {
	t := access.Target{Tenant: tenant, Key: name}
	if k := s.keys.get(tenant, name); k != nil {
		t.Purpose = k.Purpose
	}
	return t
}

// allowSome is [access.AllowSome]; a refusal leaves an entry.
func (s *Service) allowSome(ctx context.Context, caller access.Caller, action access.Action) error {
	if err := access.AllowSome(caller, action); err != nil {
		return s.refuse(ctx, caller, action, "", err)
	}
	return nil
}

// decide is [access.Allow]; a refusal leaves an entry.
func (s *Service) decide(ctx context.Context, caller access.Caller, action access.Action, t access.Target) error {
	if err := access.Allow(caller, action, t); err != nil {
		return s.refuse(ctx, caller, action, t.Key, err)
	}
	return nil
}

// refuse leaves an entry about a refusal and returns it. An entry that cannot
// be stored is told to the log; the refusal stands.
func (s *Service) refuse(ctx context.Context, caller access.Caller, action access.Action, name string, refusal error) error {
	e := s.entry(caller, string(action), store.Record{Tenant: caller.Tenant, Kind: kindKey, Name: name}, nil)
	e.Reason = fault.Public(refusal)
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return fault.New(fault.KindOf(refusal), "%s", fault.Public(refusal)).Because(fmt.Errorf("store the entry about it: %w", err))
	}
	return refusal
}

// detail is what an entry says beside who, what and when. It holds no secret.
type detail map[string]any

func (s *Service) entry(caller access.Caller, action string, r store.Record, about detail) store.Entry {
	e := store.Entry{
		At: s.instant(), Tenant: caller.Tenant, Caller: caller.ID, Action: action,
		Kind: r.Kind, RecordID: r.ID, Name: r.Name,
	}
	if about != nil {
		e.Detail, _ = json.Marshal(about) // texts, numbers and booleans
	}
	return e
}

// instant returns the time as stores keep it.
func (s *Service) instant() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // does not fail since Go 1.24
	return hex.EncodeToString(b[:])
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

func busy(name string) error {
	return fault.New(fault.Conflict, "key %q is being changed by others, try again", name)
}
