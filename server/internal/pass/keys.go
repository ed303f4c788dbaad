package pass

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// The life of a key.
const (
	renewAfter = 7 * 24 * time.Hour // then the next one is made
	settle     = 5 * time.Minute    // from then on until it signs, so that all nodes know it
	keepFor    = MaxLife            // how long it verifies when it signs no more

	keyBytes = 32
	idBytes  = 8
	attempts = 3

	kindKeys = "pass-keys" // no tenant, this name
	format   = 1
)

// keysDoc is format 1 of the record of the keys.
type keysDoc struct {
	Keys []keyDoc `json:"keys"` // in the order in which they were made
}

type keyDoc struct {
	ID        string    `json:"id"`
	Sealed    []byte    `json:"sealed"` // for the default tenant
	CreatedAt time.Time `json:"created_at"`
}

// ring is the keys at one moment. It does not change.
type ring struct {
	version int64
	keys    []signer // one or more
}

type signer struct {
	id        string
	createdAt time.Time
	key       *mac.Key
}

// find returns nil if there is no such key.
func (r *ring) find(id string) *signer {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// signing returns the newest key that all nodes know.
func (r *ring) signing(now time.Time) *signer {
	for i := len(r.keys) - 1; i > 0; i-- {
		if !now.Before(r.keys[i].createdAt.Add(settle)) {
			return &r.keys[i]
		}
	}
	return &r.keys[0]
}

// due reports whether the next key is to be made.
func due(list []keyDoc, now time.Time) bool {
	return len(list) == 0 || !now.Before(list[len(list)-1].CreatedAt.Add(renewAfter))
}

// next returns the keys with a new one, without those that verify nothing more.
func next(list []keyDoc, fresh keyDoc) []keyDoc {
	var kept []keyDoc
	for i, k := range list {
		if i == len(list)-1 || fresh.CreatedAt.Before(list[i+1].CreatedAt.Add(settle+keepFor)) {
			kept = append(kept, k)
		}
	}
	return append(kept, fresh)
}

// Renew loads the keys and makes the next one if it is time. It is to be called
// about once an hour. Of several nodes one makes it.
func (s *Service) Renew(ctx context.Context) error {
	s.change.Lock()
	defer s.change.Unlock()
	var err error
	for range attempts {
		if err = s.renew(ctx); fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return err
}

func (s *Service) renew(ctx context.Context) error {
	r, doc, err := s.load(ctx)
	if err != nil {
		return err
	}
	now := s.o.Now().UTC().Truncate(time.Microsecond)
	if !due(doc.Keys, now) {
		return s.show(ctx, r, doc)
	}
	k := keyDoc{ID: randomID(), CreatedAt: now}
	if k.Sealed, err = s.o.Sealer.Seal(ctx, access.DefaultTenant, sealName(k.ID), secret.Random(keyBytes)); err != nil {
		return err
	}
	doc.Keys = next(doc.Keys, k)
	if r.Doc, err = json.Marshal(doc); err != nil {
		return fault.New(fault.Internal, "keys of passes cannot be written").Because(err)
	}
	r.Format = format
	_, err = s.o.Store.Commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{
		At: now, Caller: access.System("").ID, Action: "pass-key.create", Kind: kindKeys, RecordID: r.ID, Name: r.Name,
	}}})
	if err == nil {
		s.first = s.first || r.Version == 0
		r.Version++
		return s.show(ctx, r, doc)
	}
	// The answer may be lost and the key stored, or others were faster.
	stored, got, loadErr := s.load(ctx)
	if loadErr == nil && slices.ContainsFunc(got.Keys, func(have keyDoc) bool { return have.ID == k.ID }) {
		return s.show(ctx, stored, got)
	}
	return err
}

func sealName(id string) string { return kindKeys + "/" + id }

// load returns a record of version 0 if there is none.
func (s *Service) load(ctx context.Context) (store.Record, keysDoc, error) {
	var doc keysDoc
	r, err := s.o.Store.Load(ctx, "", kindKeys, kindKeys)
	if fault.KindOf(err) == fault.NotFound {
		return store.Record{Kind: kindKeys, ID: kindKeys, Name: kindKeys}, doc, nil
	}
	if err != nil {
		return r, doc, err
	}
	if err := r.CheckFormat(format); err != nil {
		return r, doc, err
	}
	if err := json.Unmarshal(r.Doc, &doc); err != nil || len(doc.Keys) == 0 {
		return r, doc, fault.New(fault.Internal, "the keys of passes are damaged").Because(err)
	}
	return r, doc, nil
}

// show decrypts the keys and uses them from now on, unless newer ones are shown.
func (s *Service) show(ctx context.Context, r store.Record, doc keysDoc) error {
	old := s.shown.Load()
	if old != nil && old.version >= r.Version {
		return nil
	}
	fresh := &ring{version: r.Version}
	for _, d := range doc.Keys {
		material, err := s.o.Sealer.Open(ctx, access.DefaultTenant, sealName(d.ID), d.Sealed)
		if err != nil {
			return err
		}
		key, err := mac.New(mac.SHA256, material)
		if err != nil {
			return fmt.Errorf("key %q of passes: %w", d.ID, err)
		}
		fresh.keys = append(fresh.keys, signer{id: d.ID, createdAt: d.CreatedAt, key: key})
	}
	s.shown.Store(fresh)
	return nil
}

// Apply loads the keys again if an entry says that another node has made one.
func (s *Service) Apply(ctx context.Context, page []store.Entry) error {
	if !slices.ContainsFunc(page, func(e store.Entry) bool { return e.Kind == kindKeys }) {
		return nil
	}
	s.change.Lock()
	defer s.change.Unlock()
	r, doc, err := s.load(ctx)
	if err != nil || r.Version == 0 {
		return err
	}
	return s.show(ctx, r, doc)
}

func randomID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // does not fail since Go 1.24
	return hex.EncodeToString(b[:])
}
