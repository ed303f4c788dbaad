package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	kindShared   = "shared-secret"
	sharedFormat = 1
	sharedBytes  = 32
)

// sharedStore is what a shared secret needs of a database.
type sharedStore interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	Commit(ctx context.Context, c store.Change) (int64, error)
}

// sharedDoc is format 1 of the record of a secret that nodes share.
type sharedDoc struct {
	Sealed []byte `json:"sealed"` // by custody, for the default tenant
}

// sharedSecret returns a random secret of this name that all nodes of a store
// have: the first one makes it.
func sharedSecret(ctx context.Context, st sharedStore, keys *custody.Service, name string) (secret.Bytes, error) {
	s, _, err := firstShared(ctx, st, keys, name)
	return s, err
}

// firstShared is sharedSecret that also says whether this call has made it, so
// that nobody can have used it before.
func firstShared(ctx context.Context, st sharedStore, keys *custody.Service, name string) (s secret.Bytes, first bool, err error) {
	s, err = loadShared(ctx, st, keys, name)
	if fault.KindOf(err) != fault.NotFound {
		return s, false, err
	}
	err = makeShared(ctx, st, keys, name)
	if err != nil && fault.KindOf(err) != fault.Conflict { // then another node was faster
		return secret.Bytes{}, false, err
	}
	first = err == nil
	s, err = loadShared(ctx, st, keys, name)
	return s, first, err
}

func loadShared(ctx context.Context, st sharedStore, keys *custody.Service, name string) (secret.Bytes, error) {
	r, err := st.Load(ctx, "", kindShared, name)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("load the secret %q of all nodes: %w", name, err)
	}
	var doc sharedDoc
	if err := r.CheckFormat(sharedFormat); err != nil {
		return secret.Bytes{}, err
	}
	if err := json.Unmarshal(r.Doc, &doc); err != nil {
		return secret.Bytes{}, fmt.Errorf("load the secret %q of all nodes: the record is damaged", name)
	}
	return keys.Open(ctx, access.DefaultTenant, kindShared+" "+name, doc.Sealed)
}

func makeShared(ctx context.Context, st sharedStore, keys *custody.Service, name string) error {
	sealed, err := keys.Seal(ctx, access.DefaultTenant, kindShared+" "+name, secret.Random(sharedBytes))
	if err != nil {
		return fmt.Errorf("make the secret %q of all nodes: %w", name, err)
	}
	text, err := json.Marshal(sharedDoc{sealed})
	if err != nil {
		return fmt.Errorf("make the secret %q of all nodes: %w", name, err)
	}
	r := store.Record{Kind: kindShared, ID: name, Name: name, Format: sharedFormat, Doc: text}
	_, err = st.Commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{
		At: time.Now().UTC().Truncate(time.Microsecond), Caller: system.ID, Action: "shared-secret.create", Kind: kindShared, RecordID: r.ID, Name: r.Name,
	}}})
	if err != nil {
		return fmt.Errorf("make the secret %q of all nodes: %w", name, err)
	}
	return nil
}
