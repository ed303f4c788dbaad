package custody

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of exports.
const (
	minRecipient  = 3072 // bits of a recipient's key
	maxRecipient  = 8192
	maxPEM        = 16 << 10
	kindRecipient = "recipient" // tenant, name of the recipient

	recipientFormat = 1
)

// Recipient is somebody to whom keys may be sent.
type Recipient struct {
	Name        string // as of a key
	PublicKey   string // PEM, SubjectPublicKeyInfo
	Fingerprint string // SHA-256 of the DER form, in hex: to compare by another channel
	Bits        int
	CreatedAt   time.Time
}

// recipientDoc is format 1 of a record of kind recipient.
type recipientDoc struct {
	PublicKey []byte    `json:"public_key,omitempty"` // DER; none once it is removed
	CreatedAt time.Time `json:"created_at"`
}

// AddRecipient registers an RSA public key of 3,072 to 8,192 bits in PEM
// (SubjectPublicKeyInfo). A name that is taken is of kind [fault.Conflict]: a
// key is never replaced in silence, remove the old one first.
func (s *Service) AddRecipient(ctx context.Context, caller access.Caller, name, publicKey string) (Recipient, error) {
	if !ValidName(name) {
		return Recipient{}, fault.New(fault.Invalid, "name: got %d bytes, want 1 to %d of a-z 0-9 . _ -, first a letter or digit", len(name), MaxName)
	}
	der, _, err := parsePublicKey(publicKey)
	if err != nil {
		return Recipient{}, err
	}
	if err := s.allow(ctx, caller, access.RecipientAdd, ""); err != nil {
		return Recipient{}, err
	}
	prior, err := s.store.Load(ctx, caller.Tenant, kindRecipient, name)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		prior = store.Record{Tenant: caller.Tenant, Kind: kindRecipient, ID: newID(), Name: name}
	case err != nil:
		return Recipient{}, wrap(err, "add recipient %q", name)
	default:
		if _, err := parseRecipient(prior); fault.KindOf(err) != fault.NotFound {
			return Recipient{}, fault.New(fault.Conflict, "recipient %q has a key already: remove it first", name)
		}
	}
	r, err := record(prior, recipientFormat, recipientDoc{PublicKey: der, CreatedAt: s.instant()})
	if err != nil {
		return Recipient{}, err
	}
	e := s.entry(caller, string(access.RecipientAdd), r, detail{"fingerprint": fingerprint(der)})
	if err := s.commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{e}}); err != nil {
		return Recipient{}, wrap(err, "add recipient %q", name)
	}
	return parseRecipient(r)
}

// parsePublicKey returns the DER form. The error is of kind [fault.Invalid].
func parsePublicKey(text string) ([]byte, *rsa.PublicKey, error) {
	if len(text) > maxPEM {
		return nil, nil, fault.New(fault.Invalid, "public_key: got %d bytes, want at most %d", len(text), maxPEM)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, nil, fault.New(fault.Invalid, "public_key: want PEM that begins with -----BEGIN PUBLIC KEY-----")
	}
	key, err := parseDER(block.Bytes)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "public_key: %v", err)
	}
	return block.Bytes, key, nil
}

func parseDER(der []byte) (*rsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("no public key in SubjectPublicKeyInfo form")
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("got a %T, want RSA", parsed)
	}
	if n := key.N.BitLen(); n < minRecipient || n > maxRecipient {
		return nil, fmt.Errorf("got RSA of %d bits, want %d to %d", n, minRecipient, maxRecipient)
	}
	return key, nil
}

func fingerprint(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }

func noRecipient(name string) error {
	return fault.New(fault.NotFound, "no recipient %q", name[:min(len(name), MaxName)])
}

// parseRecipient returns an error of kind [fault.NotFound] for one that was
// removed.
func parseRecipient(r store.Record) (Recipient, error) {
	var doc recipientDoc
	if err := r.CheckFormat(recipientFormat); err != nil {
		return Recipient{}, err
	}
	if err := unmarshalStrict(r.Doc, &doc); err != nil {
		return Recipient{}, damaged(r, err)
	}
	if doc.PublicKey == nil {
		return Recipient{}, noRecipient(r.Name)
	}
	key, err := parseDER(doc.PublicKey)
	if err != nil {
		return Recipient{}, damaged(r, err)
	}
	return Recipient{
		Name: r.Name, PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: doc.PublicKey})),
		Fingerprint: fingerprint(doc.PublicKey), Bits: key.N.BitLen(), CreatedAt: doc.CreatedAt,
	}, nil
}

// Recipients returns all recipients of the tenant, sorted by name.
func (s *Service) Recipients(ctx context.Context, caller access.Caller) ([]Recipient, error) {
	if err := s.allow(ctx, caller, access.RecipientRead, ""); err != nil {
		return nil, err
	}
	list := []Recipient{}
	err := each(ctx, s.store, caller.Tenant, kindRecipient, func(r store.Record) error {
		recipient, err := parseRecipient(r)
		switch fault.KindOf(err) {
		case 0:
			list = append(list, recipient)
			return nil
		case fault.NotFound:
			return nil
		}
		return err
	})
	return list, wrap(err, "list recipients")
}

// RemoveRecipient forgets the key of a recipient. What was sent stays sent.
func (s *Service) RemoveRecipient(ctx context.Context, caller access.Caller, name string) error {
	if err := s.allow(ctx, caller, access.RecipientRemove, ""); err != nil {
		return err
	}
	r, err := s.recipient(ctx, caller.Tenant, name)
	if err != nil {
		return err
	}
	next, err := record(r, recipientFormat, recipientDoc{CreatedAt: s.instant()})
	if err != nil {
		return err
	}
	e := s.entry(caller, string(access.RecipientRemove), r, nil)
	return wrap(s.commit(ctx, store.Change{Puts: []store.Record{next}, Entries: []store.Entry{e}}), "remove recipient %q", name)
}

// recipient loads the record of a recipient who is not removed.
func (s *Service) recipient(ctx context.Context, tenant, name string) (store.Record, error) {
	if !ValidName(name) {
		return store.Record{}, noRecipient(name)
	}
	r, err := s.store.Load(ctx, tenant, kindRecipient, name)
	if fault.KindOf(err) == fault.NotFound {
		err = noRecipient(name)
	}
	if err == nil {
		_, err = parseRecipient(r)
	}
	return r, err
}

// Exported is a secret that only its recipient can open.
type Exported struct {
	Version     int
	Fingerprint string // of the recipient's key
	Wrapped     []byte // RSA-OAEP with SHA-256 and no label
}

// Export wraps the secret of a version of an exportable key, 0 for the one that
// signs, to a registered recipient. With a context it is the secret of
// [Key.Derive], which may leave the server also if the key itself may not. An
// entry about it is stored first. The error is of kind [fault.NotFound],
// [fault.Denied], or [fault.Invalid] for a secret that is too long for the key
// of the recipient.
func (s *Service) Export(ctx context.Context, caller access.Caller, name, to string, version int, derive string) (Exported, error) {
	if !ValidName(name) {
		return Exported{}, noKey(name)
	}
	if err := s.allow(ctx, caller, access.KeyExport, name); err != nil {
		return Exported{}, err
	}
	k, err := s.Get(caller.Tenant, name)
	if err != nil {
		return Exported{}, err
	}
	if err := k.refuseNative("be exported"); err != nil {
		return Exported{}, s.refuse(ctx, caller, access.KeyReveal, name, err)
	}
	if derive != "" {
		if k, err = k.Derive(derive); err != nil {
			return Exported{}, err
		}
	} else if !k.Exportable {
		return Exported{}, s.refuse(ctx, caller, access.KeyExport, name, fault.New(fault.Denied, "key %q is not exportable", name))
	}
	if version == 0 {
		version = k.Signing
	}
	v, err := k.Ring.Version(version)
	if err != nil {
		return Exported{}, k.absent(version, err)
	}
	r, err := s.recipient(ctx, caller.Tenant, to)
	if err != nil {
		return Exported{}, err
	}
	recipient, err := parseRecipient(r)
	if err != nil {
		return Exported{}, err
	}
	out := Exported{Version: version, Fingerprint: recipient.Fingerprint}
	if out.Wrapped, err = wrapTo(recipient.PublicKey, v.Secret); err != nil {
		return Exported{}, err
	}
	about := detail{"recipient": to, "fingerprint": recipient.Fingerprint, "version": version}
	if derive != "" {
		about["context"] = derive
	}
	e := s.entry(caller, string(access.KeyExport), store.Record{Tenant: k.Tenant, Kind: kindKey, Name: k.Name}, about)
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return Exported{}, wrap(err, "export key %q", name)
	}
	return out, nil
}

func wrapTo(publicKey string, s secret.Bytes) ([]byte, error) {
	_, key, err := parsePublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	if most := key.Size() - 2*sha256.Size - 2; s.Len() > most {
		return nil, fault.New(fault.Invalid, "the secret has %d bytes, the key of the recipient wraps at most %d", s.Len(), most)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, s.Expose(), nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "wrap to a recipient").Because(err)
	}
	return wrapped, nil
}
