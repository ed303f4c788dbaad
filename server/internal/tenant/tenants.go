package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Tenant separates keys, callers and everything else of one team from those of
// others. It does not change.
type Tenant struct {
	Name      string
	CreatedAt time.Time // zero for [access.DefaultTenant] until it is changed
	Disabled  bool      // its callers are refused; operators may act in it
	Version   int64     // one more with each change
}

// tenantDoc is format 1 of a record of kind tenant.
type tenantDoc struct {
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled,omitempty"`
}

func parseTenant(r store.Record) (*Tenant, error) {
	var d tenantDoc
	if err := unmarshal(r, &d); err != nil {
		return nil, err
	}
	return &Tenant{Name: r.Name, CreatedAt: d.CreatedAt, Disabled: d.Disabled, Version: r.Version}, nil
}

func isPrecondition(err error) bool { return errors.Is(err, ErrPrecondition) }

// CreateTenant makes a tenant. The error is of kind [fault.Invalid],
// [fault.Denied], or [fault.Conflict] if there is one.
func (s *Service) CreateTenant(ctx context.Context, caller access.Caller, name string) (*Tenant, error) {
	r := store.Record{Kind: kindTenant, ID: randomID(16), Name: name}
	if !ValidName(name) {
		return nil, badName(name)
	}
	if err := s.allow(ctx, caller, access.TenantCreate, "", r); err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	if s.snapshot().tenants[name] != nil {
		return nil, fault.New(fault.Conflict, "tenant %q exists already", name)
	}
	if err := s.put(ctx, caller, access.TenantCreate, r, tenantDoc{CreatedAt: s.instant()}, nil); err != nil {
		return nil, wrap(err, "create tenant %q", name)
	}
	return s.snapshot().tenants[name], nil
}

// UpdateTenant disables or enables a tenant. Unless ifVersion is 0, it must
// have this version.
func (s *Service) UpdateTenant(ctx context.Context, caller access.Caller, name string, ifVersion int64, disabled bool) (*Tenant, error) {
	if err := s.allow(ctx, caller, access.TenantUpdate, "", store.Record{Kind: kindTenant, Name: cut(name)}); err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	err := retry(func() error {
		r, err := s.store.Load(ctx, "", kindTenant, name)
		d := tenantDoc{CreatedAt: s.instant()}
		switch {
		case err == nil:
			if err := unmarshal(r, &d); err != nil {
				return err
			}
		case fault.KindOf(err) == fault.NotFound && name == access.DefaultTenant:
			r = store.Record{Kind: kindTenant, ID: randomID(16), Name: name}
		case fault.KindOf(err) == fault.NotFound:
			return noTenant(name)
		default:
			return err
		}
		if err := checkVersion(r, ifVersion); err != nil {
			return err
		}
		d.Disabled = disabled
		return s.put(ctx, caller, access.TenantUpdate, r, d, detail{"disabled": disabled})
	})
	if err != nil {
		return nil, wrap(err, "change tenant")
	}
	return s.snapshot().tenants[name], nil
}

// FindTenant returns a tenant, or an error of kind [fault.NotFound] or
// [fault.Denied].
func (s *Service) FindTenant(caller access.Caller, name string) (*Tenant, error) {
	if err := access.Allow(caller, access.TenantRead, access.Target{}); err != nil {
		return nil, err
	}
	if t := s.snapshot().tenants[name]; t != nil {
		return t, nil
	}
	return nil, noTenant(name)
}

// Tenants returns up to limit tenants after a name, sorted, and the name to go
// on after, which is empty at the end.
func (s *Service) Tenants(caller access.Caller, after string, limit int) ([]*Tenant, string, error) {
	if err := access.Allow(caller, access.TenantRead, access.Target{}); err != nil {
		return nil, "", err
	}
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	all := map[ref]*Tenant{}
	for name, t := range s.snapshot().tenants {
		all[ref{"", name}] = t
	}
	list, next := page(all, "", after, limit, func(*Tenant) bool { return true })
	return list, next, nil
}

// Enter returns caller acting in a tenant that exists. The error is of kind
// [fault.Denied] for who is no operator, and [fault.NotFound].
func (s *Service) Enter(caller access.Caller, name string) (access.Caller, error) {
	inside, err := caller.In(name)
	if err != nil {
		return access.Caller{}, err
	}
	if s.snapshot().tenants[name] == nil {
		return access.Caller{}, noTenant(name)
	}
	return inside, nil
}

func noTenant(name string) error {
	if !ValidName(name) {
		return fault.New(fault.NotFound, "no tenant of this name")
	}
	return fault.New(fault.NotFound, "no tenant %q", name)
}

// cut returns a text that stands in an entry although it may be no name.
func cut(name string) string {
	if !ValidName(name) {
		return ""
	}
	return name
}
