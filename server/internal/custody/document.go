package custody

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Kinds of records, and the newest format of each that this version reads.
const (
	kindKey     = "key"     // tenant, key name
	kindDataKey = "datakey" // no tenant, name of the tenant

	keyFormat     = 3
	dataKeyFormat = 1
)

// keyDoc is format 3 of a record of kind key. Format 2 has no native keys and
// no sources, and is written as long as it will do. Format 1 has no states, purpose and
// schedule: its signing version is active, the others verify without end.
type keyDoc struct {
	Name       string       `json:"name"`
	KeyID      string       `json:"key_id"`
	Algorithm  string       `json:"algorithm"`
	Exportable bool         `json:"exportable"`
	Purpose    string       `json:"purpose,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	Versions   []versionDoc `json:"versions"` // ascending
	Signing    int          `json:"signing"`
	Schedule   *Schedule    `json:"schedule,omitempty"`
	Native     bool         `json:"native,omitempty"` // no version has a ciphertext
	Source     *Source      `json:"source,omitempty"`
	DeletedAt  time.Time    `json:"deleted_at,omitzero"`
}

type versionDoc struct {
	Version     int           `json:"version"`
	State       keyring.State `json:"state"`
	CreatedAt   time.Time     `json:"created_at"`
	ActivatedAt time.Time     `json:"activated_at,omitzero"`
	GraceUntil  time.Time     `json:"grace_until,omitzero"` // of a version in grace; zero means no end
	RetiredAt   time.Time     `json:"retired_at,omitzero"`
	RevokedAt   time.Time     `json:"revoked_at,omitzero"`
	DestroyAt   time.Time     `json:"destroy_at,omitzero"` // end of the waiting period
	DestroyedAt time.Time     `json:"destroyed_at,omitzero"`
	NotBefore   time.Time     `json:"not_before,omitzero"`
	NotAfter    time.Time     `json:"not_after,omitzero"`
	Ciphertext  []byte        `json:"ciphertext,omitempty"` // nonce of 12 bytes, AES-256-GCM; none once destroyed
	Native      *NativeKey    `json:"native,omitempty"`     // of a native key; none once destroyed
	Origin      string        `json:"origin"`               // generated, imported, native or sourced

	// Grace is how long the version before it goes on verifying once a pending
	// one is promoted.
	Grace time.Duration `json:"grace_ns,omitempty"`
}

// Where the secret of a version came from.
const (
	originGenerated = "generated"
	originImported  = "imported"
	originNative    = "native"
	originSourced   = "sourced"
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
	if r.Format == 1 {
		d.addStates()
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
	if s := d.Source; s != nil && (s.Ref.Check() != nil || s.Every < MinReadEvery) {
		return fmt.Errorf("its source %q, read every %v, is not valid", s.Name, s.Every)
	}
	for i := range d.Versions {
		if err := d.Versions[i].check(d.Versions[i].Version == d.Signing, d.Native); err != nil {
			return err
		}
	}
	return nil
}

// format returns the oldest format that can hold d.
func (d *keyDoc) format() int {
	if d.Native || d.Source != nil {
		return keyFormat
	}
	return keyFormat - 1
}

// check returns an error if state and material do not fit.
func (v *versionDoc) check(signs, native bool) error {
	switch v.State {
	case keyring.Pending, keyring.Active, keyring.Grace, keyring.Retired, keyring.Revoked, keyring.Destroyed:
	default:
		return fmt.Errorf("version %d has state %q", v.Version, v.State)
	}
	if signs != v.State.Signs() {
		return fmt.Errorf("version %d is %s, which does not fit the version that signs", v.Version, v.State)
	}
	gone := v.State == keyring.Destroyed
	if (gone || !native) != (v.Native == nil) {
		return fmt.Errorf("version %d is %s and names the native key %v", v.Version, v.State, v.Native)
	}
	if (gone || native) != (len(v.Ciphertext) == 0) {
		return fmt.Errorf("version %d is %s and has a ciphertext of %d bytes", v.Version, v.State, len(v.Ciphertext))
	}
	return nil
}

// addStates makes a document of format 2 of one of format 1.
func (d *keyDoc) addStates() {
	for i := range d.Versions {
		v := &d.Versions[i]
		v.State, v.ActivatedAt = keyring.Grace, v.CreatedAt
		if v.Version == d.Signing {
			v.State = keyring.Active
		}
	}
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
