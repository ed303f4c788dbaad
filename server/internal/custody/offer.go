package custody

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of imports.
const (
	ImportTTL  = 15 * time.Minute // how long the key of [Service.OfferImport] is good for
	MaxImports = 16               // offers of a tenant at a time
	MaxMaking  = 2                // RSA keys that one process makes at a time: each takes a processor for a second or more

	importBits      = 4096
	kindImportOffer = "import-offer" // tenant, one of MaxImports names that are used again and again

	importOfferFormat = 1
)

// ImportOffer is a public key under which one secret can be sent.
type ImportOffer struct {
	ID        string
	PublicKey string // PEM, SubjectPublicKeyInfo, RSA of 4,096 bits
	ExpiresAt time.Time
}

// importOfferDoc is format 1 of a record of kind import-offer. An offer that is
// used or has expired makes place for another one: the record stays.
type importOfferDoc struct {
	Offer      string    `json:"offer"`
	ExpiresAt  time.Time `json:"expires_at"`
	PrivateKey []byte    `json:"private_key,omitempty"` // PKCS #8, sealed; none once it is used
}

func (d *importOfferDoc) standsAt(t time.Time) bool {
	return d.PrivateKey != nil && t.Before(d.ExpiresAt)
}

// OfferImport makes an RSA key pair for one import within [ImportTTL], at any
// node: the client wraps a secret of up to 446 bytes with RSA-OAEP, SHA-256 and
// no label. The private key is in the store, encrypted like keys are.
//
// More than [MaxImports] offers of a tenant, or more than [MaxMaking] that are
// being made, are of kind [fault.Unavailable].
func (s *Service) OfferImport(ctx context.Context, caller access.Caller) (ImportOffer, error) {
	if err := s.allowSome(ctx, caller, access.KeyImport); err != nil {
		return ImportOffer{}, err
	}
	select {
	case s.making <- struct{}{}:
		defer func() { <-s.making }()
	default:
		return ImportOffer{}, fault.New(fault.Unavailable, "%d keys for imports are being made, which is the most at a time: try again in some seconds", MaxMaking)
	}
	if _, err := s.placeForOffer(ctx, caller.Tenant); err != nil {
		return ImportOffer{}, err // before the work
	}
	key, err := s.importKey()
	if err != nil {
		return ImportOffer{}, fault.New(fault.Internal, "make a key for an import").Because(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return ImportOffer{}, fault.New(fault.Internal, "make a key for an import").Because(err)
	}
	doc := importOfferDoc{Offer: newID(), ExpiresAt: s.instant().Add(ImportTTL)}
	if doc.PrivateKey, err = s.sealOffer(ctx, caller.Tenant, doc.Offer, key); err != nil {
		return ImportOffer{}, err
	}
	if err := s.putOffer(ctx, caller, doc); err != nil {
		return ImportOffer{}, wrap(err, "offer an import")
	}
	return ImportOffer{
		ID: doc.Offer, ExpiresAt: doc.ExpiresAt,
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	}, nil
}

func newImportKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, importBits) }

func (s *Service) sealOffer(ctx context.Context, tenant, id string, key *rsa.PrivateKey) ([]byte, error) {
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.New(fault.Internal, "make a key for an import").Because(err)
	}
	defer clear(text)
	return s.Seal(ctx, tenant, offerName(id), secret.New(text))
}

// offerName is what the private key of an offer is sealed for.
func offerName(id string) string { return "import offer " + id }

// putOffer stores an offer where one was used or has expired, or in a new
// record. Others may be faster, so it looks again.
func (s *Service) putOffer(ctx context.Context, caller access.Caller, doc importOfferDoc) error {
	for range attempts {
		prior, err := s.placeForOffer(ctx, caller.Tenant)
		if err != nil {
			return err
		}
		r, err := record(prior, importOfferFormat, doc)
		if err != nil {
			return err
		}
		e := s.entry(caller, "import.offer", r, detail{"offer": doc.Offer})
		err = s.commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{e}})
		if fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return fault.New(fault.Unavailable, "many imports begin at the same time, try again")
}

// placeForOffer returns a record of the tenant in which no offer stands, by
// chance one of several, so that two nodes seldom take the same.
func (s *Service) placeForOffer(ctx context.Context, tenant string) (store.Record, error) {
	all, err := s.store.List(ctx, tenant, kindImportOffer, "", MaxImports)
	if err != nil {
		return store.Record{}, wrap(err, "list imports")
	}
	taken := map[string]bool{}
	var free []store.Record
	for _, r := range all {
		doc, err := parseImportOffer(r)
		if err != nil {
			return store.Record{}, err
		}
		if taken[r.Name] = true; !doc.standsAt(s.now()) {
			free = append(free, r)
		}
	}
	if len(free) == 0 {
		for i := range MaxImports {
			if name := fmt.Sprintf("place-%02d", i); !taken[name] {
				free = append(free, store.Record{Tenant: tenant, Kind: kindImportOffer, ID: newID(), Name: name})
			}
		}
	}
	if len(free) == 0 {
		return store.Record{}, fault.New(fault.Unavailable, "%d imports are under way, wait until one has ended; each ends after %v", MaxImports, ImportTTL)
	}
	return free[mathrand.IntN(len(free))], nil
}

func parseImportOffer(r store.Record) (importOfferDoc, error) {
	var doc importOfferDoc
	if err := r.CheckFormat(importOfferFormat); err != nil {
		return doc, err
	}
	return doc, damaged(r, unmarshalStrict(r.Doc, &doc))
}

// Import is a secret that came in under an [ImportOffer]. Give both of its parts
// to [Service.Create], which uses the offer up with the commit that stores the
// key.
type Import struct {
	Material secret.Bytes
	Offer    *OpenOffer
}

// OpenOffer is an offer that was opened and is not used up.
type OpenOffer struct {
	record store.Record // as it was loaded
	id     string
}

// OpenImport returns the secret that was wrapped under an offer. If it does not
// open the offer is used up by that: a key that can be asked twice could be
// asked a million times. An offer that is unknown, expired or used is of kind
// [fault.NotFound], a text that does not open of kind [fault.Invalid].
func (s *Service) OpenImport(ctx context.Context, caller access.Caller, id string, wrapped []byte) (Import, error) {
	if err := s.allowSome(ctx, caller, access.KeyImport); err != nil {
		return Import{}, err
	}
	r, doc, err := s.findOffer(ctx, caller.Tenant, id)
	if err != nil {
		return Import{}, wrap(err, "open an import")
	}
	key, err := s.openOffer(ctx, r, doc)
	if err != nil {
		return Import{}, wrap(err, "open an import")
	}
	offer := &OpenOffer{record: r, id: id}
	plain, err := key.Decrypt(nil, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil {
		return Import{}, s.spoil(ctx, caller, offer)
	}
	defer clear(plain)
	return Import{Material: secret.New(plain), Offer: offer}, nil
}

func (s *Service) findOffer(ctx context.Context, tenant, id string) (store.Record, importOfferDoc, error) {
	all, err := s.store.List(ctx, tenant, kindImportOffer, "", MaxImports)
	if err != nil {
		return store.Record{}, importOfferDoc{}, err
	}
	for _, r := range all {
		doc, err := parseImportOffer(r)
		if err != nil {
			return r, doc, err
		}
		if doc.Offer == id && doc.standsAt(s.now()) {
			return r, doc, nil
		}
	}
	return store.Record{}, importOfferDoc{}, noOffer()
}

func noOffer() error {
	return fault.New(fault.NotFound, "no such import: it has expired or was used")
}

func (s *Service) openOffer(ctx context.Context, r store.Record, doc importOfferDoc) (*rsa.PrivateKey, error) {
	text, err := s.Open(ctx, r.Tenant, offerName(doc.Offer), doc.PrivateKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(text.Expose())
	if err != nil {
		return nil, damaged(r, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, damaged(r, fmt.Errorf("got a %T, want an RSA key", parsed))
	}
	return key, nil
}

// spoil uses an offer up for a text that does not open. Of several such texts at
// the same time only one is told so: each answer says something about the key.
func (s *Service) spoil(ctx context.Context, caller access.Caller, o *OpenOffer) error {
	used, err := o.used()
	if err != nil {
		return err
	}
	refusal := fault.New(fault.Invalid, "wrapped: does not open; it must be RSA-OAEP with SHA-256 and no label, under the key of this import")
	e := s.entry(caller, "import.use", used, detail{"offer": o.id})
	e.Reason = fault.Public(refusal)
	switch err := s.commit(ctx, store.Change{Puts: []store.Record{used}, Entries: []store.Entry{e}}); fault.KindOf(err) {
	case 0:
		return refusal
	case fault.Conflict:
		return noOffer()
	default:
		return wrap(err, "end an import")
	}
}

// used returns the record to put, without the private key.
func (o *OpenOffer) used() (store.Record, error) {
	doc, err := parseImportOffer(o.record)
	if err != nil {
		return store.Record{}, err
	}
	doc.PrivateKey = nil
	return record(o.record, importOfferFormat, doc)
}

// addTo has c use the offer up. A nil offer adds nothing.
func (o *OpenOffer) addTo(c *store.Change, about detail) error {
	if o == nil {
		return nil
	}
	used, err := o.used()
	if err != nil {
		return err
	}
	c.Puts = append(c.Puts, used)
	about["import"] = o.id
	return nil
}

// stands returns an error of kind [fault.NotFound] if somebody else has used an
// offer up since it was opened. A nil offer always stands.
func (s *Service) stands(ctx context.Context, o *OpenOffer) error {
	if o == nil {
		return nil
	}
	r, err := s.store.Load(ctx, o.record.Tenant, kindImportOffer, o.record.Name)
	if err == nil && r.Version != o.record.Version {
		err = noOffer()
	}
	return err
}
