package custody_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

func TestAll(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	with := func(err error) func() error { return func() error { return err } }
	for name, c := range map[string]struct {
		checks []func() error
		want   error
	}{
		"One":         {[]func() error{with(first)}, first},
		"OneOfNil":    {[]func() error{nil, with(first), nil}, first},
		"FirstCounts": {[]func() error{with(first), with(second)}, first},
		"SecondOnly":  {[]func() error{with(nil), nil, with(second)}, second},
		"AllGood":     {[]func() error{with(nil), with(nil)}, nil},
	} {
		if got := custody.All(c.checks...)(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if custody.All() != nil || custody.All(nil, nil) != nil {
		t.Error("without checks: got a check")
	}
}

// Keys that must not be used are not given out, for anything; that they exist
// can still be seen, and they can be revoked.
func TestUsable(t *testing.T) {
	h := newHouse(t)
	var why error
	o := h.options(h.store)
	o.Usable = func() error { return why }
	s, err := custody.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Usable(); err != nil {
		t.Errorf("Usable: got %v", err)
	}
	l, _, err := s.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: custody.MinLease})
	if err != nil {
		t.Fatal(err)
	}
	why = fault.New(fault.Unavailable, "the key service is away")
	if err := s.Usable(); err != why {
		t.Errorf("Usable: got %v", err)
	}
	_, err = s.Get(tenant, "a")
	wantKind(t, "Get", err, fault.Unavailable)
	_, err = s.Reveal(t.Context(), admin, "a")
	wantKind(t, "Reveal", err, fault.Unavailable)
	_, err = s.Export(t.Context(), admin, "a", "partner", 0, "")
	wantKind(t, "Export", err, fault.Unavailable)
	_, _, err = s.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: custody.MinLease})
	wantKind(t, "Lease", err, fault.Unavailable)
	_, err = s.VerifyLease(t.Context(), admin, "a", l.ID, "", nil, nil)
	wantKind(t, "VerifyLease", err, fault.Unavailable)
	for action, want := range map[access.Action]fault.Kind{
		access.KeySign: fault.Unavailable, access.KeyVerify: fault.Unavailable, access.KeyReveal: fault.Unavailable, access.KeyExport: fault.Unavailable,
		access.RequestDiagnose: fault.Unavailable, access.KeyRead: 0, access.KeyRevoke: 0, access.KeyDelete: 0,
	} {
		_, err := s.Find(admin, action, "a")
		wantKind(t, "Find for "+string(action), err, want)
	}
	if err := s.RevokeLease(t.Context(), admin, "a", l.ID); err != nil {
		t.Errorf("RevokeLease: %v", err)
	}
	if keys, _, err := s.List(admin, access.KeyRead, "", 10); len(keys) != 1 || err != nil {
		t.Errorf("List: got %d keys, %v", len(keys), err)
	}
	if _, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Errorf("Rotate: %v", err)
	}
	why = nil
	if _, err := s.Get(tenant, "a"); err != nil {
		t.Errorf("Get: %v", err)
	}
}

// goneWrapper is a key service that goes away.
type goneWrapper struct {
	custody.Wrapper
	gone bool
}

func (w *goneWrapper) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	if w.gone {
		return secret.Bytes{}, fault.New(fault.Unavailable, "gone")
	}
	return w.Wrapper.Unwrap(ctx, keyID, blob, aad)
}

// Who has made the data key of a tenant needs no key service to go on, whatever
// it was made for.
func TestDataKeyIsKept(t *testing.T) {
	for name, first := range map[string]func(*custody.Service) error{
		"Create": func(s *custody.Service) error {
			_, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "first"})
			return err
		},
		"Seal": func(s *custody.Service) error {
			_, err := s.Seal(t.Context(), tenant, "n", secret.FromString("s"))
			return err
		},
	} {
		h := newHouse(t)
		w := &goneWrapper{Wrapper: h.wrapper}
		o := h.options(h.store)
		o.Wrapper = w
		s, err := custody.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := first(s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.gone = true
		if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "a"}); err != nil {
			t.Errorf("%s: Create: %v", name, err)
		}
		if _, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{}); err != nil {
			t.Errorf("%s: Rotate: %v", name, err)
		}
	}
}
