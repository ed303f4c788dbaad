package tenant

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Caller is somebody who may call the API. It does not change.
type Caller struct {
	ID          string // as in the log: the name, that of an operator after [access.OperatorPrefix]
	Name        string // unique in the tenant, also after the caller is deleted
	Tenant      string // empty for an operator
	Grants      []access.Grant
	Disabled    bool
	CreatedAt   time.Time
	Version     int64         // one more with each change
	Credentials []*Credential // in the order in which they were made

	deleted bool
	rights  *access.Rights
}

// callerDoc is format 1 of a record of kind caller.
type callerDoc struct {
	Grants      []access.Grant  `json:"grants"`
	Disabled    bool            `json:"disabled,omitempty"`
	CreatedAt   time.Time       `json:"created_at"`
	DeletedAt   time.Time       `json:"deleted_at,omitzero"`
	Credentials []credentialDoc `json:"credentials,omitempty"`
}

// openCaller makes credentials ready for use.
func (s *Service) openCaller(ctx context.Context, r store.Record) (*Caller, error) {
	var d callerDoc
	if err := unmarshal(r, &d); err != nil {
		return nil, err
	}
	c := &Caller{
		ID: r.Name, Name: r.Name, Tenant: r.Tenant, Grants: d.Grants, Disabled: d.Disabled, CreatedAt: d.CreatedAt,
		Version: r.Version, deleted: !d.DeletedAt.IsZero(),
	}
	if c.Tenant == "" {
		c.ID = access.OperatorPrefix + c.Name
	}
	for i := range d.Credentials {
		k, err := s.openCredential(ctx, c, &d.Credentials[i])
		if err != nil {
			return nil, fault.New(fault.Internal, "caller %q is damaged", r.Name).Because(err)
		}
		c.Credentials = append(c.Credentials, k)
	}
	return c, nil
}

// credential returns nil if there is none.
func (c *Caller) credential(id string) *Credential {
	for _, k := range c.Credentials {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// identity returns the caller as decisions see it. An operator acts in the
// default tenant until it names another.
func (c *Caller) identity() access.Caller {
	if c.Tenant == "" {
		return access.NewCaller(c.ID, access.DefaultTenant, c.rights)
	}
	return access.NewCaller(c.ID, c.Tenant, c.rights)
}

// place returns where the caller with this ID is, for who acts in a tenant.
func place(caller access.Caller, id string) ref {
	if name, ok := strings.CutPrefix(id, access.OperatorPrefix); ok {
		return ref{"", name}
	}
	return ref{caller.Tenant, id}
}

// reserved are the IDs of callers that are in no store.
var reserved = []string{access.Administrator().ID, access.System("").ID}

// CreateCaller makes a caller in the tenant of caller, an operator if that is
// its grant, which only operators can. It has no credential yet. The error is
// of kind [fault.Invalid], [fault.Denied], or [fault.Conflict] if the name is
// taken, also by a deleted caller.
func (s *Service) CreateCaller(ctx context.Context, caller access.Caller, name string, grants []access.Grant) (*Caller, error) {
	at := ref{caller.Tenant, name}
	if isOperator(grants) {
		at.tenant = ""
	}
	r := store.Record{Tenant: at.tenant, Kind: kindCaller, ID: randomID(16), Name: name}
	if err := s.allow(ctx, caller, access.CallerCreate, at.tenant, store.Record{Kind: kindCaller, Name: cut(name)}); err != nil {
		return nil, err
	}
	if !ValidName(name) {
		return nil, badName(name)
	}
	if slices.Contains(reserved, name) {
		return nil, fault.New(fault.Invalid, "name: %q is that of the platform itself", name)
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.checkGrants(at, grants); err != nil {
		return nil, err
	}
	if s.snapshot().callers[at] != nil {
		return nil, taken(name)
	}
	d := callerDoc{Grants: slices.Clone(grants), CreatedAt: s.instant()}
	switch err := s.put(ctx, caller, access.CallerCreate, r, d, detail{"grants": grants}); fault.KindOf(err) {
	case 0:
		return s.snapshot().callers[at], nil
	case fault.Conflict:
		return nil, taken(name)
	default:
		return nil, wrap(err, "create caller %q", name)
	}
}

func taken(name string) error { return fault.New(fault.Conflict, "caller name %q is taken", name) }

func isOperator(grants []access.Grant) bool {
	return slices.ContainsFunc(grants, func(g access.Grant) bool { return g.Role == access.Operator })
}

// checkGrants also holds operators out of tenants, and others in them.
func (s *Service) checkGrants(at ref, grants []access.Grant) error {
	if err := access.CheckGrants(grants, s.snapshot().custom(at.tenant)); err != nil {
		return err
	}
	if isOperator(grants) != (at.tenant == "") {
		return fault.New(fault.Invalid, "grants: an operator stays one, and nobody else becomes one: make another caller")
	}
	return nil
}

// Update says what is changed about a caller. A nil field stays as it is.
type Update struct {
	Grants   *[]access.Grant
	Disabled *bool
}

// UpdateCaller changes a caller. Unless ifVersion is 0, it must have this
// version. The error is of kind [fault.NotFound], [fault.Denied],
// [fault.Invalid], or [fault.Conflict].
func (s *Service) UpdateCaller(ctx context.Context, caller access.Caller, id string, ifVersion int64, u Update) (*Caller, error) {
	return s.changeCaller(ctx, caller, access.CallerUpdate, id, ifVersion, func(at ref, d *callerDoc) (detail, error) {
		about := detail{}
		if u.Grants != nil {
			if err := s.checkGrants(at, *u.Grants); err != nil {
				return nil, err
			}
			d.Grants, about["grants"] = slices.Clone(*u.Grants), *u.Grants
		}
		if u.Disabled != nil {
			d.Disabled, about["disabled"] = *u.Disabled, *u.Disabled
		}
		if len(about) == 0 {
			return nil, fault.New(fault.Invalid, "want grants or disabled")
		}
		return about, nil
	})
}

// DeleteCaller ends a caller and its credentials for good. Its name stays
// taken. Errors are those of [Service.UpdateCaller].
func (s *Service) DeleteCaller(ctx context.Context, caller access.Caller, id string, ifVersion int64) error {
	_, err := s.changeCaller(ctx, caller, access.CallerDelete, id, ifVersion, func(_ ref, d *callerDoc) (detail, error) {
		d.DeletedAt, d.Credentials = s.instant(), nil
		return nil, nil
	})
	return err
}

// changeCaller loads a caller, lets next edit it, and commits it.
func (s *Service) changeCaller(ctx context.Context, caller access.Caller, action access.Action, id string, ifVersion int64,
	next func(ref, *callerDoc) (detail, error),
) (*Caller, error) {
	at := place(caller, id)
	if err := s.allow(ctx, caller, action, at.tenant, store.Record{Kind: kindCaller, Name: cut(at.name)}); err != nil {
		return nil, err
	}
	if !ValidName(at.name) {
		return nil, noCaller(id)
	}
	s.change.Lock()
	defer s.change.Unlock()
	err := retry(func() error {
		r, err := s.store.Load(ctx, at.tenant, kindCaller, at.name)
		if fault.KindOf(err) == fault.NotFound {
			return noCaller(id)
		}
		var d callerDoc
		if err == nil {
			err = unmarshal(r, &d)
		}
		if err != nil {
			return err
		}
		if !d.DeletedAt.IsZero() {
			return noCaller(id)
		}
		if err := checkVersion(r, ifVersion); err != nil {
			return err
		}
		about, err := next(at, &d)
		if err != nil {
			return err
		}
		return s.put(ctx, caller, action, r, d, about)
	})
	if err != nil {
		return nil, wrap(err, "%s %q", action, at.name)
	}
	return s.snapshot().callers[at], nil
}

// FindCaller returns a caller of the tenant of caller, or an operator. The
// error is of kind [fault.NotFound], also for a deleted one, or [fault.Denied].
func (s *Service) FindCaller(caller access.Caller, id string) (*Caller, error) {
	at := place(caller, id)
	if err := access.Allow(caller, access.CallerRead, access.Target{Tenant: at.tenant}); err != nil {
		return nil, err
	}
	if c := s.snapshot().callers[at]; c != nil && !c.deleted {
		return c, nil
	}
	return nil, noCaller(id)
}

// Callers returns up to limit callers of the tenant of caller, or operators,
// after a name, sorted, and the name to go on after, which is empty at the end.
func (s *Service) Callers(caller access.Caller, operators bool, after string, limit int) ([]*Caller, string, error) {
	tenant := caller.Tenant
	if operators {
		tenant = ""
	}
	if err := access.Allow(caller, access.CallerRead, access.Target{Tenant: tenant}); err != nil {
		return nil, "", err
	}
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	list, next := page(s.snapshot().callers, tenant, after, limit, func(c *Caller) bool { return !c.deleted })
	return list, next, nil
}

func noCaller(id string) error {
	if !ValidName(strings.TrimPrefix(id, access.OperatorPrefix)) {
		return fault.New(fault.NotFound, "no caller of this name")
	}
	return fault.New(fault.NotFound, "no caller %q", id)
}
