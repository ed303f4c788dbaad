package tenant

import (
	"context"
	"slices"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// MaxRoles is the most roles that one tenant makes.
const MaxRoles = 100

// Role is a role that a tenant has made. It does not change.
type Role struct {
	Tenant    string
	Name      string
	Actions   []access.Action
	CreatedAt time.Time
	Version   int64 // one more with each change
	deleted   bool
}

// roleDoc is format 1 of a record of kind role.
type roleDoc struct {
	Actions   []access.Action `json:"actions,omitempty"` // none once it is deleted
	CreatedAt time.Time       `json:"created_at"`
}

func parseRole(r store.Record) (*Role, error) {
	var d roleDoc
	if err := unmarshal(r, &d); err != nil {
		return nil, err
	}
	return &Role{Tenant: r.Tenant, Name: r.Name, Actions: d.Actions, CreatedAt: d.CreatedAt, Version: r.Version, deleted: len(d.Actions) == 0}, nil
}

// SetRole makes a role of the tenant of caller, or changes what it means, also
// for those who have it. Unless ifVersion is 0, it must have this version. The
// error is of kind [fault.Invalid] for the name of a built-in role and what
// [access.CheckRole] refuses, [fault.Denied], or [fault.Conflict].
func (s *Service) SetRole(ctx context.Context, caller access.Caller, name string, ifVersion int64, actions []access.Action) (*Role, error) {
	if err := s.allow(ctx, caller, access.RoleSet, caller.Tenant, store.Record{Kind: kindRole, Name: cut(name)}); err != nil {
		return nil, err
	}
	if !ValidName(name) {
		return nil, badName(name)
	}
	if access.BuiltIn()[access.Role(name)] != nil {
		return nil, fault.New(fault.Invalid, "name: role %q is built in and cannot be changed", name)
	}
	if err := access.CheckRole(actions); err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	at := ref{caller.Tenant, name}
	err := retry(func() error {
		r, d, err := s.role(ctx, at)
		if fault.KindOf(err) == fault.NotFound && ifVersion == 0 {
			if len(s.snapshot().custom(at.tenant)) >= MaxRoles {
				return fault.New(fault.Invalid, "the tenant has %d roles, which is the most", MaxRoles)
			}
			d.CreatedAt, err = s.instant(), nil
		}
		if err != nil {
			return err
		}
		if err := checkVersion(r, ifVersion); err != nil {
			return err
		}
		d.Actions = slices.Clone(actions)
		return s.put(ctx, caller, access.RoleSet, r, d, detail{"actions": actions})
	})
	if err != nil {
		return nil, wrap(err, "set role %q", name)
	}
	return s.snapshot().roles[at], nil
}

// role loads a role. With an error of kind [fault.NotFound] the record is the
// one to put.
func (s *Service) role(ctx context.Context, at ref) (store.Record, roleDoc, error) {
	var d roleDoc
	r, err := s.store.Load(ctx, at.tenant, kindRole, at.name)
	if fault.KindOf(err) == fault.NotFound {
		return store.Record{Tenant: at.tenant, Kind: kindRole, ID: randomID(16), Name: at.name}, d, noRole(at.name)
	}
	if err == nil {
		err = unmarshal(r, &d)
	}
	if err == nil && len(d.Actions) == 0 {
		err = noRole(at.name)
	}
	return r, d, err
}

// DeleteRole deletes a role that no caller has. The error is of kind
// [fault.NotFound], [fault.Denied], or [fault.Conflict].
func (s *Service) DeleteRole(ctx context.Context, caller access.Caller, name string, ifVersion int64) error {
	if err := s.allow(ctx, caller, access.RoleDelete, caller.Tenant, store.Record{Kind: kindRole, Name: cut(name)}); err != nil {
		return err
	}
	s.change.Lock()
	defer s.change.Unlock()
	for at, c := range s.snapshot().callers {
		if at.tenant == caller.Tenant && !c.deleted && slices.ContainsFunc(c.Grants, func(g access.Grant) bool { return string(g.Role) == name }) {
			return fault.New(fault.Conflict, "caller %q has role %q: take it away first", c.Name, name)
		}
	}
	return wrap(retry(func() error {
		r, d, err := s.role(ctx, ref{caller.Tenant, name})
		if err == nil {
			err = checkVersion(r, ifVersion)
		}
		if err != nil {
			return err
		}
		return s.put(ctx, caller, access.RoleDelete, r, roleDoc{CreatedAt: d.CreatedAt}, nil)
	}), "delete role")
}

// FindRole returns a role that the tenant has made.
func (s *Service) FindRole(caller access.Caller, name string) (*Role, error) {
	if err := access.Allow(caller, access.RoleRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	if r := s.snapshot().roles[ref{caller.Tenant, name}]; r != nil && !r.deleted {
		return r, nil
	}
	return nil, noRole(name)
}

// Roles returns the roles that the tenant has made, sorted by name.
func (s *Service) Roles(caller access.Caller) ([]*Role, error) {
	if err := access.Allow(caller, access.RoleRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	list, _ := page(s.snapshot().roles, caller.Tenant, "", MaxRoles, func(r *Role) bool { return !r.deleted })
	return list, nil
}

func noRole(name string) error {
	if !ValidName(name) {
		return fault.New(fault.NotFound, "no role of this name")
	}
	return fault.New(fault.NotFound, "no role %q", name)
}
