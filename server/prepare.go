package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/inventory"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// openPolicies opens the policies of all tenants.
func openPolicies(ctx context.Context, db database, callers *tenant.Service, log *slog.Logger) (*policy.Service, error) {
	names, err := tenantNames(callers)
	if err != nil {
		return nil, err
	}
	return policy.Open(ctx, policy.Options{Store: db, Tenants: names, Alarm: func(err error) { log.Error("policy", "error", err.Error()) }})
}

// tenantNames returns the names of all tenants.
func tenantNames(callers *tenant.Service) (names []string, err error) {
	for after := ""; ; {
		page, next, err := callers.Tenants(system, after, tenant.MaxList)
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			names = append(names, t.Name)
		}
		if after = next; after == "" {
			return names, nil
		}
	}
}

// preparer decides, for all adapters, whether an operation may use the key that
// it names, and which key that is: first access, then the policy of the tenant.
type preparer struct {
	keys     *custody.Service
	policies *policy.Service
	data     *inventory.Source // nil if there is no data catalogue
	close    func()            // stops what openPreparer began
}

func openPreparer(ctx context.Context, c Config, db database, keys *custody.Service, callers *tenant.Service, log *slog.Logger) (*preparer, error) {
	policies, err := openPolicies(ctx, db, callers, log)
	if err != nil {
		return nil, err
	}
	data, stop, err := openCatalogue(ctx, c.data, log)
	if err != nil {
		return nil, err
	}
	return &preparer{keys: keys, policies: policies, data: data, close: stop}, nil
}

// notice says what is wrong; it is empty while nothing is.
func (p *preparer) notice() string { return notices(p.policies.Notice, p.data.Notice)() }

// prepare is that of [rest.Options]. A caller needs no right to a key that the
// policy chooses: the policy grants it.
func (p *preparer) prepare(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
	key, err := p.keys.Find(r.Caller, r.Action, r.Key)
	if err != nil || !p.policies.Active(r.Caller.Tenant) {
		return key, policy.Decision{}, err
	}
	var classes []string
	if p.data != nil && r.Metadata != nil && r.Metadata.Resource != "" {
		if classes, err = p.data.Classes(r.Metadata.Resource); err != nil {
			return nil, policy.Decision{}, err
		}
	}
	d := p.policies.Decide(&r, key.Purpose, key.Algorithm.String(), classes)
	if !d.Denied && d.Key != "" && d.Key != key.Name {
		if key, err = p.other(r.Caller, &d); err != nil {
			return nil, d, err
		}
	}
	if !d.Denied {
		d = d.CheckKey(key.Algorithm.String(), key.Algorithm.Size())
	}
	if d.Denied {
		return nil, d, policy.Refused()
	}
	return key, d, nil
}

// other finds the key that d chooses. One that does not exist denies; the error
// is of kind [fault.Unavailable] if that is not known, and does not name it.
func (p *preparer) other(caller access.Caller, d *policy.Decision) (*custody.Key, error) {
	key, err := p.keys.Get(caller.Tenant, d.Key)
	switch fault.KindOf(err) {
	case 0:
		return key, nil
	case fault.NotFound:
		d.Denied, d.Reason = true, fmt.Sprintf("the key %q, which the policy chooses, does not exist", d.Key)
		return nil, policy.Refused()
	}
	return nil, fault.New(fault.Unavailable, "the key that the policy chooses cannot be used now").Because(err)
}
