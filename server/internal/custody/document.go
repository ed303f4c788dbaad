package custody

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Kinds of records, and the newest format of each that this version reads.
const (
	kindKey     = "key"     // tenant, key name
	kindDataKey = "datakey" // no tenant, name of the tenant

	keyFormat     = 1
	dataKeyFormat = 1
)

// keyDoc is format 1 of a record of kind key.
type keyDoc struct {
	Name       string       `json:"name"`
	KeyID      string       `json:"key_id"`
	Algorithm  string       `json:"algorithm"`
	Exportable bool         `json:"exportable"`
	CreatedAt  time.Time    `json:"created_at"`
	Versions   []versionDoc `json:"versions"` // ascending
	Signing    int          `json:"signing"`
	DeletedAt  time.Time    `json:"deleted_at,omitzero"`
}

type versionDoc struct {
	Version    int       `json:"version"`
	CreatedAt  time.Time `json:"created_at"`
	NotBefore  time.Time `json:"not_before,omitzero"`
	NotAfter   time.Time `json:"not_after,omitzero"`
	Ciphertext []byte    `json:"ciphertext"` // nonce of 12 bytes, AES-256-GCM
	Origin     string    `json:"origin"`     // generated or imported
}

// Where the secret of a version came from.
const (
	originGenerated = "generated"
	originImported  = "imported"
)

// dataKeyDoc is format 1 of a record of kind datakey.
type dataKeyDoc struct {
	RootKeyID string    `json:"root_key_id"`
	Wrapped   []byte    `json:"wrapped"`
	CreatedAt time.Time `json:"created_at"`
}

// parseKey checks everything that can be checked without a data key.
func parseKey(r store.Record) (keyDoc, mac.Algorithm, error) {
	var d keyDoc
	if err := r.CheckFormat(keyFormat); err != nil {
		return d, 0, err
	}
	if err := unmarshalStrict(r.Doc, &d); err != nil {
		return d, 0, damaged(r, err)
	}
	a, err := mac.Parse(d.Algorithm)
	if err != nil {
		return d, 0, damaged(r, err)
	}
	return d, a, damaged(r, d.check(r.Name, a))
}

func (d keyDoc) check(name string, a mac.Algorithm) error {
	switch {
	case d.Name != name:
		return fmt.Errorf("its document is that of key %q", d.Name)
	case a.Legacy():
		return fmt.Errorf("algorithm %v does not sign", a)
	case !api.ValidKeyID(d.KeyID):
		return fmt.Errorf("key ID %q is not valid", d.KeyID)
	}
	last, signs := 0, false
	for _, v := range d.Versions {
		if v.Version <= last {
			return fmt.Errorf("version %d stands after version %d", v.Version, last)
		}
		last, signs = v.Version, signs || v.Version == d.Signing
	}
	if !signs {
		return fmt.Errorf("version %d, which signs, does not exist", d.Signing)
	}
	return nil
}

func parseDataKey(r store.Record) (dataKeyDoc, error) {
	var d dataKeyDoc
	if err := r.CheckFormat(dataKeyFormat); err != nil {
		return d, err
	}
	return d, damaged(r, unmarshalStrict(r.Doc, &d))
}

func unmarshalStrict(doc []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// damaged returns nil if err is nil.
func damaged(r store.Record, err error) error {
	if err == nil {
		return nil
	}
	tenant := r.Tenant
	if tenant == "" {
		tenant = "the platform"
	}
	return fault.New(fault.Internal, "%s %q of %s is damaged", r.Kind, r.Name, tenant).Because(err)
}

// record returns the record to put: prior with doc in it.
func record(prior store.Record, format int, doc any) (store.Record, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return store.Record{}, fault.New(fault.Internal, "%s %q cannot be written", prior.Kind, prior.Name).Because(err)
	}
	prior.Format, prior.Doc = format, text
	return prior, nil
}
