package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of keys.
const (
	MaxName     = 128  // bytes
	MaxVersions = 1000 // of one key
	MaxMaterial = 4096 // bytes of an imported secret
	MinMaterial = 14   // bytes of an imported secret without AllowWeak
)

// ValidName reports whether name can be that of a key: 1 to [MaxName] bytes,
// first a lower-case letter or a digit of ASCII, then also dots, underscores
// and hyphens.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// CreateKey says which key [Service.Create] makes.
type CreateKey struct {
	Name       string       // see [ValidName]
	KeyID      string       // empty means Name; see [api.ValidKeyID]
	Algorithm  string       // empty means hmac-sha256; not hmac-sha1 nor hmac-md5, which do not sign
	Exportable bool         // whether Reveal will return the secret
	Imported   bool         // Material was given: empty material is then refused
	Material   secret.Bytes // empty means random; imported otherwise, at most MaxMaterial bytes
	AllowWeak  bool         // takes material of 1 to 13 bytes
}

// check returns the algorithm, or an error of kind [fault.Invalid].
func (in CreateKey) check() (mac.Algorithm, error) {
	a, err := in.algorithm()
	n := in.Material.Len()
	switch {
	case !ValidName(in.Name):
		return 0, fault.New(fault.Invalid, "name: got %d bytes, want 1 to %d of a-z 0-9 . _ -, first a letter or digit", len(in.Name), MaxName)
	case in.KeyID != "" && !api.ValidKeyID(in.KeyID):
		return 0, fault.New(fault.Invalid, "key_id: got %d bytes, want 1 to %d of A-Z a-z 0-9 . _ ~ -", len(in.KeyID), api.MaxKeyID)
	case err != nil:
		return 0, err
	case in.Imported && n == 0:
		return 0, fault.New(fault.Invalid, "material: empty, anybody could sign with it")
	case n > MaxMaterial:
		return 0, fault.New(fault.Invalid, "material: got %d bytes, want at most %d", n, MaxMaterial)
	case n > 0 && n < MinMaterial && !in.AllowWeak:
		return 0, fault.New(fault.Invalid, "material: got %d bytes, want at least %d, or allow_weak", n, MinMaterial)
	}
	return a, nil
}

func (in CreateKey) algorithm() (mac.Algorithm, error) {
	if in.Algorithm == "" {
		return mac.SHA256, nil
	}
	a, err := mac.Parse(in.Algorithm)
	if err != nil {
		return 0, fault.New(fault.Invalid, "algorithm: unknown, want hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha512-256 or hmac-sha3-256").Because(err)
	}
	if a.Legacy() {
		return 0, fault.New(fault.Invalid, "algorithm: %v is for verifying only", a)
	}
	return a, nil
}

// generate returns a random secret of at least the strength of a.
func generate(a mac.Algorithm) secret.Bytes {
	if a == mac.SHA384 || a == mac.SHA512 {
		return secret.Random(64)
	}
	return secret.Random(32)
}

// Create makes a key in the tenant of caller, with one version. The error is
// of kind [fault.Invalid], [fault.Denied], or [fault.Conflict] if the name is
// taken, also by a deleted key.
func (s *Service) Create(ctx context.Context, caller access.Caller, in CreateKey) (*Key, error) {
	algorithm, err := in.check()
	if err != nil {
		return nil, err
	}
	if err := s.allow(ctx, caller, access.KeyCreate, in.Name); err != nil {
		return nil, err
	}
	part := s.keys.part(in.Name)
	part.change.Lock()
	defer part.change.Unlock()
	taken := fault.New(fault.Conflict, "key name %q is taken", in.Name)
	if s.keys.get(caller.Tenant, in.Name) != nil {
		return nil, taken
	}
	for range attempts {
		k, err := s.create(ctx, caller, in, algorithm)
		if fault.KindOf(err) != fault.Conflict {
			return k, wrap(err, "create key %q", in.Name)
		}
		switch _, err := s.reload(ctx, caller.Tenant, in.Name); fault.KindOf(err) {
		case 0:
			return nil, taken
		case fault.NotFound: // somebody else made the data key of the tenant
		default:
			return nil, wrap(err, "create key %q", in.Name)
		}
	}
	return nil, busy(in.Name)
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

func (s *Service) create(ctx context.Context, caller access.Caller, in CreateKey, a mac.Algorithm) (*Key, error) {
	d, dataKeyRecord, err := s.tenantDataKey(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	material, origin := in.Material, originImported
	if material.IsZero() {
		material, origin = generate(a), originGenerated
	}
	now := s.instant()
	doc := keyDoc{
		Name: in.Name, KeyID: in.KeyID, Algorithm: a.String(), Exportable: in.Exportable, CreatedAt: now, Signing: 1,
		Versions: []versionDoc{{Version: 1, CreatedAt: now, Ciphertext: d.seal(material, in.Name, 1), Origin: origin}},
	}
	if doc.KeyID == "" {
		doc.KeyID = in.Name
	}
	r := store.Record{Tenant: caller.Tenant, Kind: kindKey, ID: newID(), Name: in.Name}
	var c store.Change
	if dataKeyRecord != nil {
		c.Puts = append(c.Puts, *dataKeyRecord)
		c.Entries = append(c.Entries, s.entry(caller, "datakey.create", *dataKeyRecord, nil))
	}
	k, err := s.commitKey(ctx, c, d, r, doc, s.entry(caller, string(access.KeyCreate), r, detail{
		"key_id": doc.KeyID, "algorithm": doc.Algorithm, "exportable": doc.Exportable, "origin": origin, "version": 1,
	}))
	if err == nil && dataKeyRecord != nil {
		s.keepDataKey(d)
	}
	return k, err
}

// Rotate adds a version with a random secret, which signs from now on; the
// others go on verifying. Unless ifVersion is 0, the key must have this
// ETagVersion. The error is of kind [fault.NotFound], [fault.Denied],
// [fault.Invalid] for a key of [MaxVersions], or [fault.Conflict], with
// [ErrPrecondition] if it is about ifVersion.
func (s *Service) Rotate(ctx context.Context, caller access.Caller, name string, ifVersion int64) (*Key, error) {
	return s.change(ctx, caller, access.KeyRotate, name, ifVersion, func(d *dataKey, doc *keyDoc) (detail, error) {
		if len(doc.Versions) >= MaxVersions {
			return nil, fault.New(fault.Invalid, "key %q has %d versions, which is the most a key can have", name, len(doc.Versions))
		}
		algorithm, err := mac.Parse(doc.Algorithm)
		if err != nil {
			return nil, err
		}
		version := doc.Versions[len(doc.Versions)-1].Version + 1
		before := doc.Signing
		doc.Versions = append(doc.Versions, versionDoc{
			Version: version, CreatedAt: s.instant(), Origin: originGenerated,
			Ciphertext: d.seal(generate(algorithm), name, version),
		})
		doc.Signing = version
		return detail{"version": version, "signed_before": before}, nil
	})
}

// Delete ends a key: it neither signs nor verifies, [Service.Get] does not
// find it, and its name stays taken. Errors are those of [Service.Rotate].
func (s *Service) Delete(ctx context.Context, caller access.Caller, name string, ifVersion int64) error {
	_, err := s.change(ctx, caller, access.KeyDelete, name, ifVersion, func(_ *dataKey, doc *keyDoc) (detail, error) {
		doc.DeletedAt = s.instant()
		return nil, nil
	})
	return err
}

// change loads a key, lets next edit it, and commits it, until nobody else
// has changed it in between.
func (s *Service) change(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	next func(*dataKey, *keyDoc) (detail, error),
) (*Key, error) {
	if !ValidName(name) {
		return nil, noKey(name)
	}
	if err := s.allow(ctx, caller, action, name); err != nil {
		return nil, err
	}
	part := s.keys.part(name)
	part.change.Lock()
	defer part.change.Unlock()
	for range attempts {
		k, err := s.tryChange(ctx, caller, action, name, ifVersion, next)
		if fault.KindOf(err) != fault.Conflict || isPrecondition(err) {
			return k, wrap(err, "%s %q", action, name)
		}
	}
	return nil, busy(name)
}

func (s *Service) tryChange(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	next func(*dataKey, *keyDoc) (detail, error),
) (*Key, error) {
	r, err := s.reload(ctx, caller.Tenant, name)
	if err != nil {
		return nil, err
	}
	doc, _, err := parseKey(r)
	if err != nil {
		return nil, err
	}
	if !doc.DeletedAt.IsZero() {
		return nil, noKey(name)
	}
	if ifVersion != 0 && ifVersion != r.Version {
		return nil, fault.New(fault.Conflict, "key %q has version %d, not %d", name, r.Version, ifVersion).Because(ErrPrecondition)
	}
	d, _, err := s.tenantDataKey(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	about, err := next(d, &doc)
	if err != nil {
		return nil, err
	}
	return s.commitKey(ctx, store.Change{}, d, r, doc, s.entry(caller, string(action), r, about))
}

// reload reads a key from the store and shows it in the snapshot if that has
// another state: another process, or a commit whose answer was lost, wrote it.
func (s *Service) reload(ctx context.Context, tenant, name string) (store.Record, error) {
	r, err := s.store.Load(ctx, tenant, kindKey, name)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			err = noKey(name)
		}
		return store.Record{}, err
	}
	if k := s.keys.get(tenant, name); k != nil && k.ETagVersion == r.Version {
		return r, nil
	}
	d, missing, err := s.tenantDataKey(ctx, tenant)
	if err == nil && missing != nil {
		err = damaged(r, fmt.Errorf("the data key of its tenant is missing"))
	}
	if err != nil {
		return store.Record{}, err
	}
	k, err := s.openKey(d, r)
	if err != nil {
		return store.Record{}, err
	}
	s.keys.put(k)
	return r, nil
}

// commitKey adds the key in doc to c, commits c, and shows the key in the
// snapshot. What is committed was decrypted before, so it can be read again.
func (s *Service) commitKey(ctx context.Context, c store.Change, d *dataKey, prior store.Record, doc keyDoc, e store.Entry) (*Key, error) {
	r, err := record(prior, keyFormat, doc)
	if err != nil {
		return nil, err
	}
	stored := r
	stored.Version++
	k, err := s.openKey(d, stored)
	if err != nil {
		return nil, err
	}
	c.Puts = append(c.Puts, r)
	c.Entries = append(c.Entries, e)
	if err := s.commit(ctx, c); err != nil {
		return nil, err
	}
	s.keys.put(k)
	return k, nil
}

// settleTimeout is how long a commit whose outcome is unknown is looked for.
const settleTimeout = 5 * time.Second

// commit returns nil if c is stored, also if the store said otherwise because
// its answer was lost.
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
	want := c.Puts[len(c.Puts)-1] // all are stored or none
	got, loadErr := s.store.Load(ctx, want.Tenant, want.Kind, want.Name)
	if loadErr == nil && got.ID == want.ID && got.Version == want.Version+1 && bytes.Equal(got.Doc, want.Doc) {
		return nil
	}
	return err
}

// allow is [access.Allow]; a refusal leaves an entry.
func (s *Service) allow(ctx context.Context, caller access.Caller, action access.Action, name string) error {
	err := access.Allow(caller, action, caller.Tenant, name)
	if err != nil {
		return s.refuse(ctx, caller, action, name, err)
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
