package custody

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const dataKeySize = 32 // bytes, AES-256

// dataKey encrypts the key versions of one tenant.
type dataKey struct {
	tenant string
	aead   cipher.AEAD // puts a random nonce in front of what it seals
}

func newDataKey(tenant string, key secret.Bytes) (*dataKey, error) {
	if key.Len() != dataKeySize {
		return nil, fmt.Errorf("data key has %d bytes, want %d", key.Len(), dataKeySize)
	}
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &dataKey{tenant: tenant, aead: aead}, nil
}

func (d *dataKey) seal(material secret.Bytes, name string, version int) []byte {
	return d.aead.Seal(nil, nil, material.Expose(), versionAAD(d.tenant, name, version))
}

func (d *dataKey) open(ciphertext []byte, name string, version int) (secret.Bytes, error) {
	plain, err := d.aead.Open(nil, nil, ciphertext, versionAAD(d.tenant, name, version))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("version %d does not decrypt, it was changed or belongs elsewhere: %w", version, err)
	}
	defer clear(plain)
	return secret.New(plain), nil
}

func versionAAD(tenant, name string, version int) []byte {
	return additionalData("sealwright key version", tenant, name, strconv.Itoa(version))
}

func dataKeyAAD(tenant string) []byte { return additionalData("sealwright data key", tenant) }

// additionalData joins fields so that no two lists of fields give the same
// bytes: each has its length, 4 bytes big endian, in front. The first says what
// is encrypted.
func additionalData(fields ...string) []byte {
	var b []byte
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

// openDataKey unwraps the data key in r.
func (s *Service) openDataKey(ctx context.Context, r store.Record) (*dataKey, error) {
	doc, err := parseDataKey(r)
	if err != nil {
		return nil, err
	}
	key, err := s.wrapper.Unwrap(ctx, doc.RootKeyID, doc.Wrapped, dataKeyAAD(r.Name))
	if err != nil {
		return nil, fmt.Errorf("data key of tenant %q: %w", r.Name, err)
	}
	d, err := newDataKey(r.Name, key)
	return d, damaged(r, err)
}

// openKey decrypts all versions of the key in r. A native key has no ring.
func (s *Service) openKey(d *dataKey, r store.Record) (*Key, error) {
	doc, algorithm, err := parseKey(r)
	if err != nil {
		return nil, err
	}
	k := &Key{
		Tenant: r.Tenant, Name: r.Name, ID: doc.KeyID, Algorithm: algorithm, Exportable: doc.Exportable,
		CreatedAt: doc.CreatedAt, Deleted: !doc.DeletedAt.IsZero(), ETagVersion: r.Version, Signing: doc.Signing,
		now: s.now, current: s.current, home: s,
	}
	k.Purpose, k.Schedule, k.Source = doc.Purpose, doc.Schedule, s.sourceOf(doc.Source, r.Tenant, r.Name)
	if !k.Deleted {
		k.due = doc.due()
	}
	if doc.Native {
		k.devices = &s.devices
		for i := range doc.Versions {
			k.Versions = append(k.Versions, doc.Versions[i].info())
		}
		k.usage = s.usageOf(k)
		return k, nil
	}
	var verifying, revoked []keyring.Key
	for i := range doc.Versions {
		v := &doc.Versions[i]
		info := v.info()
		if v.State != keyring.Destroyed {
			material, err := d.open(v.Ciphertext, r.Name, v.Version)
			if err != nil {
				return nil, damaged(r, err)
			}
			info.Bytes = material.Len()
			key := keyring.Key{ID: doc.KeyID, Version: v.Version, Secret: material, NotBefore: v.NotBefore, NotAfter: v.end()}
			switch {
			case v.State.Verifies():
				verifying = append(verifying, key)
			case v.State == keyring.Revoked:
				revoked = append(revoked, key)
			}
		}
		k.Versions = append(k.Versions, info)
	}
	k.usage = s.usageOf(k)
	if len(revoked) > 0 {
		if k.revoked, err = keyring.New(revoked...); err != nil {
			return nil, damaged(r, err)
		}
	}
	ring, err := keyring.New(verifying...)
	if err != nil {
		return nil, damaged(r, err)
	}
	k.Ring, err = ring.Promote(doc.KeyID, doc.Signing)
	return k, damaged(r, err)
}

// tenantDataKey returns the data key of tenant. If there is none yet it makes
// one, with the record that has to be put for it to exist; who has stored that
// calls keepDataKey. Otherwise the record is nil.
func (s *Service) tenantDataKey(ctx context.Context, tenant string) (*dataKey, *store.Record, error) {
	s.mu.Lock()
	d := s.dataKeys[tenant]
	s.mu.Unlock()
	if d != nil {
		return d, nil, nil
	}
	orphans, err := s.hasKeys(ctx, tenant) // before Load, for a data key is never stored after keys
	if err != nil {
		return nil, nil, err
	}
	r, err := s.store.Load(ctx, "", kindDataKey, tenant)
	switch {
	case err == nil:
		if d, err = s.openDataKey(ctx, r); err == nil {
			s.keepDataKey(d)
		}
		return d, nil, err
	case fault.KindOf(err) != fault.NotFound:
		return nil, nil, err
	case orphans:
		return nil, nil, lostDataKey(tenant)
	}
	return s.makeDataKey(ctx, tenant)
}

func (s *Service) keepDataKey(d *dataKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dataKeys[d.tenant] = d
}

func (s *Service) makeDataKey(ctx context.Context, tenant string) (*dataKey, *store.Record, error) {
	key := secret.Random(dataKeySize)
	blob, rootKeyID, err := s.wrapper.Wrap(ctx, key, dataKeyAAD(tenant))
	if err != nil {
		return nil, nil, fmt.Errorf("wrap data key of tenant %q: %w", tenant, err)
	}
	r, err := record(store.Record{Kind: kindDataKey, ID: newID(), Name: tenant}, dataKeyFormat,
		dataKeyDoc{RootKeyID: rootKeyID, Wrapped: blob, CreatedAt: s.instant()})
	if err != nil {
		return nil, nil, err
	}
	d, err := newDataKey(tenant, key)
	return d, &r, err
}

// hasKeys reports whether tenant has keys, deleted ones too.
func (s *Service) hasKeys(ctx context.Context, tenant string) (bool, error) {
	page, err := s.store.List(ctx, tenant, kindKey, "", 1)
	return len(page) > 0, err
}

// lostDataKey is the error for keys that no data key opens. A new data key
// would hide the loss.
func lostDataKey(tenant string) error {
	return fault.New(fault.Internal, "tenant %q has keys, but its data key is missing", tenant)
}
