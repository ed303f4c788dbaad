package tenant_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

var errLost = errors.New("lost")

// writes are all changes, on a house with the caller "ci" that has a token, and
// the role "r".
var writes = []struct {
	name string
	run  func(context.Context, *house) error
	done func(*tenant.Service) bool
}{
	{"CreateTenant", func(ctx context.Context, h *house) error { _, err := h.CreateTenant(ctx, operator, "new"); return err },
		func(s *tenant.Service) bool { _, err := s.FindTenant(operator, "new"); return err == nil }},
	{"UpdateTenant", func(ctx context.Context, h *house) error {
		_, err := h.UpdateTenant(ctx, operator, "home", 1, true)
		return err
	},
		func(s *tenant.Service) bool {
			v, err := s.FindTenant(operator, "home")
			return err == nil && v.Disabled
		}},
	{"CreateCaller", func(ctx context.Context, h *house) error {
		_, err := h.CreateCaller(ctx, home, "new", grants("r"))
		return err
	}, func(s *tenant.Service) bool { _, err := s.FindCaller(home, "new"); return err == nil }},
	{"UpdateCaller", func(ctx context.Context, h *house) error {
		_, err := h.UpdateCaller(ctx, home, "ci", 2, tenant.Update{Disabled: ptr(true)})
		return err
	}, func(s *tenant.Service) bool { c, err := s.FindCaller(home, "ci"); return err == nil && c.Disabled }},
	{"DeleteCaller", func(ctx context.Context, h *house) error { return h.DeleteCaller(ctx, home, "ci", 2) },
		func(s *tenant.Service) bool { _, err := s.FindCaller(home, "ci"); return err != nil }},
	{"AddCredential", func(ctx context.Context, h *house) error {
		_, text, err := h.AddCredential(ctx, home, "ci", tenant.Token, 0)
		if err != nil && !text.IsZero() {
			return errors.New("a secret is shown that counts for nothing")
		}
		return err
	}, func(s *tenant.Service) bool {
		c, err := s.FindCaller(home, "ci")
		return err == nil && len(c.Credentials) == 2
	}},
	{"RevokeCredential", func(ctx context.Context, h *house) error {
		c, err := h.FindCaller(home, "ci")
		if err != nil {
			return err
		}
		return h.RevokeCredential(ctx, home, "ci", c.Credentials[0].ID)
	}, func(s *tenant.Service) bool {
		c, err := s.FindCaller(home, "ci")
		return err == nil && !c.Credentials[0].RevokedAt.IsZero()
	}},
	{"SetRole", func(ctx context.Context, h *house) error {
		_, err := h.SetRole(ctx, home, "new", 0, []access.Action{access.KeyRead})
		return err
	}, func(s *tenant.Service) bool { _, err := s.FindRole(home, "new"); return err == nil }},
	{"DeleteRole", func(ctx context.Context, h *house) error { return h.DeleteRole(ctx, home, "r", 1) },
		func(s *tenant.Service) bool { _, err := s.FindRole(home, "r"); return err != nil }},
}

// TestBroken breaks every write both ways. What is said, shown in memory, and
// stored is the same each time, and once more after a restart.
func TestBroken(t *testing.T) {
	for _, w := range writes {
		for name, stored := range map[string]bool{"NotStored": false, "StoredButLost": true} {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				h := newHouse(t)
				h.caller(t, home, "ci", nil)
				if _, err := h.SetRole(t.Context(), home, "r", 0, []access.Action{access.KeyRead}); err != nil {
					t.Fatal(err)
				}
				before := len(h.log(t))
				h.store.Fail(memory.Fault{Err: errLost, Apply: stored})
				err := w.run(t.Context(), h)
				if (err == nil) != stored || err != nil && !errors.Is(err, errLost) {
					t.Errorf("got %v, stored: %v", err, stored)
				}
				for what, s := range map[string]*tenant.Service{"in memory": h.Service, "after a restart": h.open(t)} {
					if w.done(s) != stored {
						t.Errorf("%s: done is %v, stored %v", what, !stored, stored)
					}
				}
				if n := len(h.log(t)) - before; n != map[bool]int{true: 1}[stored] {
					t.Errorf("got %d entries", n)
				}
				if !stored {
					if err := w.run(t.Context(), h); err != nil || !w.done(h.Service) {
						t.Errorf("tried again: got %v", err)
					}
				}
			})
		}
	}
}

// Another process changed the record since it was loaded: the change is made on
// top of that, and a name that was taken there is taken here.
func TestChangedElsewhere(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", grants(access.Signer))
	elsewhere := h.open(t)
	if _, err := elsewhere.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	c, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Grants: ptr(grants(access.Auditor))})
	if err != nil || !c.Disabled || c.Grants[0].Role != access.Auditor {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := elsewhere.CreateCaller(t.Context(), home, "new", nil); err != nil {
		t.Fatal(err)
	}
	_, err = h.CreateCaller(t.Context(), home, "new", nil)
	wantKind(t, "a name taken elsewhere", err, fault.Conflict)
	if _, err := elsewhere.CreateTenant(t.Context(), operator, "new"); err != nil {
		t.Fatal(err)
	}
	_, err = h.CreateTenant(t.Context(), operator, "new")
	wantKind(t, "a tenant made elsewhere", err, fault.Conflict)
}

// racing is a store in which somebody else is always faster.
type racing struct{ *memory.Store }

func (r racing) Commit(ctx context.Context, c store.Change) (int64, error) {
	if len(c.Puts) > 0 {
		return 0, fault.New(fault.Conflict, "has changed")
	}
	return r.Store.Commit(ctx, c)
}

func TestAlwaysChanged(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", nil)
	o := h.options()
	o.Store = racing{h.store}
	s, err := tenant.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(true)})
	wantKind(t, "update", err, fault.Conflict)
	if errors.Is(err, tenant.ErrPrecondition) {
		t.Errorf("got %v, which the caller did not demand", err)
	}
}
