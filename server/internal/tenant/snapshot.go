package tenant

import (
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/access"
)

// ref names a record of a tenant, an operator by the empty tenant.
type ref struct{ tenant, name string }

// snapshot is everything at one moment. It does not change once it is shown: a
// change copies the maps, which changes of callers are rare enough for.
type snapshot struct {
	tenants     map[string]*Tenant
	callers     map[ref]*Caller // deleted ones too
	roles       map[ref]*Role   // deleted ones too
	credentials map[string]*Credential

	certificates map[string][]*Credential // by what they name; the lists do not change
}

func newSnapshot() *snapshot {
	return &snapshot{
		tenants: map[string]*Tenant{access.DefaultTenant: {Name: access.DefaultTenant}},
		callers: map[ref]*Caller{}, roles: map[ref]*Role{}, credentials: map[string]*Credential{}, certificates: map[string][]*Credential{},
	}
}

func (s *snapshot) clone() *snapshot {
	return &snapshot{
		tenants: maps.Clone(s.tenants), callers: maps.Clone(s.callers), roles: maps.Clone(s.roles), credentials: maps.Clone(s.credentials),
		certificates: maps.Clone(s.certificates),
	}
}

func (s *snapshot) putTenant(t *Tenant) {
	if old := s.tenants[t.Name]; old == nil || old.Version < t.Version {
		s.tenants[t.Name] = t
	}
}

// putRole also gives the callers of the tenant what the role now means.
func (s *snapshot) putRole(r *Role) {
	at := ref{r.Tenant, r.Name}
	if old := s.roles[at]; old != nil && old.Version >= r.Version {
		return
	}
	s.roles[at] = r
	custom := s.custom(r.Tenant)
	for at, c := range s.callers {
		if at.tenant == r.Tenant && slices.ContainsFunc(c.Grants, func(g access.Grant) bool { return string(g.Role) == r.Name }) {
			changed := *c
			changed.rights = access.Compile(c.Grants, custom)
			s.callers[at] = &changed
		}
	}
}

// putCaller replaces the caller with its credentials.
func (s *snapshot) putCaller(c *Caller) {
	at := ref{c.Tenant, c.Name}
	if old := s.callers[at]; old != nil {
		if old.Version >= c.Version {
			return
		}
		for _, k := range old.Credentials {
			if now := c.credential(k.ID); now != nil {
				now.used = k.used
			}
			delete(s.credentials, k.ID)
			s.dropCertificate(k)
		}
	}
	c.rights = access.Compile(c.Grants, s.custom(c.Tenant))
	s.callers[at] = c
	for _, k := range c.Credentials {
		s.credentials[k.ID] = k
		if k.Certificate != "" && k.RevokedAt.IsZero() {
			s.certificates[k.Certificate] = append(slices.Clone(s.certificates[k.Certificate]), k)
		}
	}
}

func (s *snapshot) dropCertificate(k *Credential) {
	if k.Certificate == "" {
		return
	}
	left := slices.DeleteFunc(slices.Clone(s.certificates[k.Certificate]), func(have *Credential) bool { return have.ID == k.ID })
	if s.certificates[k.Certificate] = left; len(left) == 0 {
		delete(s.certificates, k.Certificate)
	}
}

// custom returns the roles that a tenant has made.
func (s *snapshot) custom(tenant string) map[access.Role][]access.Action {
	custom := map[access.Role][]access.Action{}
	for at, r := range s.roles {
		if at.tenant == tenant && !r.deleted {
			custom[access.Role(r.Name)] = r.Actions
		}
	}
	return custom
}

// page returns up to limit values after a name, sorted by it, and the name to go
// on after.
func page[T any](all map[ref]T, tenant, after string, limit int, keep func(T) bool) (list []T, next string) {
	var names []string
	for at, v := range all {
		if at.tenant == tenant && at.name > after && keep(v) {
			names = append(names, at.name)
		}
	}
	slices.SortFunc(names, strings.Compare)
	if len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	list = make([]T, len(names))
	for i, name := range names {
		list[i] = all[ref{tenant, name}]
	}
	return list, next
}
