package custody

import (
	"context"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Seal encrypts a secret of a tenant that is no key, so that it opens for the
// same tenant and name only. It makes the data key of the tenant if there is
// none. It decides nothing: who calls it does.
func (s *Service) Seal(ctx context.Context, tenant, name string, plain secret.Bytes) ([]byte, error) {
	for range attempts {
		d, r, err := s.tenantDataKey(ctx, tenant)
		if err != nil {
			return nil, wrap(err, "seal %q", name)
		}
		if r == nil {
			return d.aead.Seal(nil, nil, plain.Expose(), sealedAAD(tenant, name)), nil
		}
		e := s.entry(access.System(tenant), "datakey.create", *r, nil)
		err = s.commit(ctx, store.Change{Puts: []store.Record{*r}, Entries: []store.Entry{e}})
		switch {
		case err == nil:
			s.keepDataKey(d)
		case fault.KindOf(err) != fault.Conflict: // somebody else made it: that one counts
			return nil, wrap(err, "seal %q", name)
		}
	}
	return nil, fault.New(fault.Conflict, "the data key of the tenant is being made by others, try again")
}

// Open returns what [Service.Seal] was given. What was changed, or sealed for
// another tenant or name, is of kind [fault.Internal].
func (s *Service) Open(ctx context.Context, tenant, name string, sealed []byte) (secret.Bytes, error) {
	d, r, err := s.tenantDataKey(ctx, tenant)
	if err == nil && r != nil {
		err = lostDataKey(tenant)
	}
	if err != nil {
		return secret.Bytes{}, wrap(err, "open %q", name)
	}
	plain, err := d.aead.Open(nil, nil, sealed, sealedAAD(tenant, name))
	if err != nil {
		return secret.Bytes{}, fault.New(fault.Internal, "%q does not decrypt, it was changed or belongs elsewhere", name).Because(err)
	}
	defer clear(plain)
	return secret.New(plain), nil
}

func sealedAAD(tenant, name string) []byte {
	return additionalData("sealwright sealed secret", tenant, name)
}
