package source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Scope is which names may be read: all that begin with it, where {tenant} is
// the name of the tenant that reads. Without {tenant} only the default tenant
// may read, since all of them share the credentials of the server. [All] is
// every name, for the default tenant. The zero value is none.
type Scope string

// All is the scope of every name.
const All Scope = "*"

const tenantPlace = "{tenant}"

// Check returns an error if no name begins so, or if the names of one tenant
// could begin like those of another.
func (s Scope) Check() error {
	before, after, found := strings.Cut(string(s), tenantPlace)
	switch {
	case s == All:
		return nil
	case found && !strings.HasPrefix(after, "/"), strings.Contains(after, tenantPlace):
		return fmt.Errorf("want %s once, with a slash behind it", tenantPlace)
	case s == "", !ValidName(strings.TrimSuffix(before+"t"+after, "/")):
		return fmt.Errorf("got %q, which no name begins with; want %s for all names", string(s), All)
	}
	return nil
}

// Allows reports whether tenant may read name.
func (s Scope) Allows(tenant, name string) bool {
	if s == "" || !strings.Contains(string(s), tenantPlace) && tenant != access.DefaultTenant {
		return false
	}
	return s == All || strings.HasPrefix(name, strings.ReplaceAll(string(s), tenantPlace, tenant))
}

// Scoped is a source with what may be read from it.
type Scoped struct {
	Source
	Scope Scope
}

// Set are sources by the name of their provider. It does not change.
type Set map[string]Scoped

// Read returns the payload that ref names, if tenant may read it: otherwise the
// error is of kind [fault.Denied], and of kind [fault.Invalid] for a provider
// that is not in the set.
func (s Set) Read(ctx context.Context, tenant string, ref Ref) (Payload, error) {
	from, ok := s[ref.Provider]
	switch {
	case len(s) == 0:
		return Payload{}, fault.New(fault.Invalid, "source.provider: no source is configured")
	case !ok:
		names := slices.Sorted(maps.Keys(s))
		return Payload{}, fault.New(fault.Invalid, "source.provider: unknown or not configured, want one of %s", strings.Join(names, ", "))
	case !from.Scope.Allows(tenant, ref.Name):
		return Payload{}, fault.New(fault.Denied, "source.name: this tenant may not read it, see sources.%s.prefix of the configuration", ref.Provider)
	}
	return from.Fetch(ctx, ref.Name)
}
