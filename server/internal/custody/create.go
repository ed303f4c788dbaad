package custody

import (
	"context"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of keys.
const (
	MaxName     = 128  // bytes
	MaxVersions = 256  // of one key
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
	Purpose    string       // what it is for: webhook, api, artifact, event, audit or package; empty means everything
	AllowWeak  bool         // takes material of 1 to 13 bytes
	Native     *NativeKey   // a key that never leaves its key service; without a Key one is made there. nil means a secret here

	// Source is where the secret comes from, now and at every change there; nil
	// means nowhere else. Every is 0 for [DefaultReadEvery] or [MinReadEvery] to
	// [MaxReadEvery]; Version and ChangedAt are filled in. There must be no
	// Material beside it.
	Source *Source

	Offer *OpenOffer // with which Material came, used up by the commit; nil means none
}

// check returns the algorithm, or an error of kind [fault.Invalid].
func (in CreateKey) check() (mac.Algorithm, error) {
	a, err := in.algorithm()
	switch {
	case !ValidName(in.Name):
		return 0, fault.New(fault.Invalid, "name: got %d bytes, want 1 to %d of a-z 0-9 . _ -, first a letter or digit", len(in.Name), MaxName)
	case in.KeyID != "" && !api.ValidKeyID(in.KeyID):
		return 0, fault.New(fault.Invalid, "key_id: got %d bytes, want 1 to %d of A-Z a-z 0-9 . _ ~ -", len(in.KeyID), api.MaxKeyID)
	case err != nil:
		return 0, err
	case in.Source != nil && (in.Imported || !in.Material.IsZero() || in.Native != nil):
		return 0, fault.New(fault.Invalid, "source: want either a source, a secret to import, or a native key")
	case in.Imported || !in.Material.IsZero():
		if err := checkMaterial("material", in.Material.Len(), in.AllowWeak); err != nil {
			return 0, err
		}
	}
	if err := in.checkNative(a); err != nil {
		return 0, err
	}
	return a, checkPurpose(in.Purpose)
}

// checkMaterial returns an error of kind [fault.Invalid] if a secret of n bytes
// that others have made is none for a key.
func checkMaterial(place string, n int, allowWeak bool) error {
	switch {
	case n == 0:
		return fault.New(fault.Invalid, "%s: empty, anybody could sign with it", place)
	case n > MaxMaterial:
		return fault.New(fault.Invalid, "%s: got %d bytes, want at most %d", place, n, MaxMaterial)
	case n < MinMaterial && !allowWeak:
		return fault.New(fault.Invalid, "%s: got %d bytes, want at least %d, or allow_weak", place, n, MinMaterial)
	}
	return nil
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
func generate(a mac.Algorithm) secret.Bytes { return secret.Random(generatedSize(a)) }

// generatedSize returns the length of secrets that are made for a, in bytes.
func generatedSize(a mac.Algorithm) int {
	if a == mac.SHA384 || a == mac.SHA512 {
		return 64
	}
	return 32
}

// Create makes a key in the tenant of caller, with one version. The error is
// of kind [fault.Invalid], [fault.Denied], [fault.Conflict] if the name is
// taken, also by a deleted key, [fault.NotFound] if the offer of an import was
// used by somebody else, or [fault.Unavailable] if its source is away, also if
// the key service of a native key has no such key.
func (s *Service) Create(ctx context.Context, caller access.Caller, in CreateKey) (*Key, error) {
	algorithm, err := in.check()
	if err != nil {
		return nil, err
	}
	action := access.KeyCreate
	if in.Imported || !in.Material.IsZero() || in.Source != nil {
		action = access.KeyImport
	}
	if err := s.decide(ctx, caller, action, access.Target{Tenant: caller.Tenant, Key: in.Name, Purpose: in.Purpose}); err != nil {
		return nil, err
	}
	from, err := s.copySource(ctx, caller.Tenant, &in)
	if err != nil {
		return nil, wrap(err, "create key %q", in.Name)
	}
	part := s.keys.part(in.Name)
	part.change.Lock()
	defer part.change.Unlock()
	taken := fault.New(fault.Conflict, "key name %q is taken", in.Name)
	if k := s.keys.get(caller.Tenant, in.Name); k != nil {
		if k.Deleted {
			taken.Message += " by a deleted key, which can be restored"
		}
		return nil, taken
	}
	native, err := s.orderFor(ctx, in)
	if err != nil {
		return nil, native.unused(nil, wrap(err, "create key %q", in.Name))
	}
	for range attempts {
		k, err := s.create(ctx, caller, in, algorithm, from, native.obtained)
		if err == nil && from != nil {
			k.Source.reads.note(nil, from.Every, s.instant(), s.rand())
		}
		if fault.KindOf(err) != fault.Conflict {
			return k, native.unused(k, wrap(err, "create key %q", in.Name))
		}
		switch _, err := s.reload(ctx, caller.Tenant, in.Name); fault.KindOf(err) {
		case 0:
			return nil, native.unused(nil, taken)
		case fault.NotFound: // somebody else made the data key of the tenant, or used the offer up
			if err := s.stands(ctx, in.Offer); err != nil {
				return nil, native.unused(nil, wrap(err, "create key %q", in.Name))
			}
		default:
			return nil, native.unused(nil, wrap(err, "create key %q", in.Name))
		}
	}
	return nil, native.unused(nil, busy(in.Name))
}

func (s *Service) create(ctx context.Context, caller access.Caller, in CreateKey, a mac.Algorithm, from *Source, native NativeKey) (*Key, error) {
	d, dataKeyRecord, err := s.tenantDataKey(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	now := s.instant()
	first := versionDoc{Version: 1, State: keyring.Active, CreatedAt: now, ActivatedAt: now}
	switch {
	case in.Native != nil:
		first.Native, first.Origin = &native, originNative
	case from != nil:
		first.Ciphertext, first.Origin = d.seal(in.Material, in.Name, 1), originSourced
	case in.Material.IsZero():
		first.Ciphertext, first.Origin = d.seal(generate(a), in.Name, 1), originGenerated
	default:
		first.Ciphertext, first.Origin = d.seal(in.Material, in.Name, 1), originImported
	}
	doc := keyDoc{
		Name: in.Name, KeyID: in.KeyID, Algorithm: a.String(), Exportable: in.Exportable, Purpose: in.Purpose, CreatedAt: now, Signing: 1,
		Native: in.Native != nil, Source: from, Versions: []versionDoc{first},
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
	about := detail{"key_id": doc.KeyID, "algorithm": doc.Algorithm, "exportable": doc.Exportable, "origin": first.Origin, "version": 1}
	if in.Native != nil {
		about["native"] = native.String()
	}
	if doc.Purpose != "" {
		about["purpose"] = doc.Purpose
	}
	if from != nil {
		about["provider"], about["name"], about["source_version"] = from.Provider, from.Name, from.Version
	}
	if err := in.Offer.addTo(&c, about); err != nil {
		return nil, err
	}
	k, err := s.commitKey(ctx, c, d, r, doc, s.entry(caller, string(access.KeyCreate), r, about))
	if err == nil && dataKeyRecord != nil {
		s.keepDataKey(d)
	}
	return k, err
}
