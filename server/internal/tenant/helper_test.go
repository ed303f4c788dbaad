package tenant_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

var (
	start    = time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)
	operator = access.Administrator()
	home     = access.TenantAdministrator("boss", "home")
)

// house is a service with what it stands on.
type house struct {
	*tenant.Service
	store  *memory.Store
	sealer *custody.Service
	now    time.Time
}

// newHouse has the tenants default, home and other.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{store: memory.New(), now: start}
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if h.sealer, err = custody.Open(t.Context(), custody.Options{Store: h.store, Wrapper: root}); err != nil {
		t.Fatal(err)
	}
	h.Service = h.open(t)
	for _, name := range []string{"home", "other"} {
		if _, err := h.CreateTenant(t.Context(), operator, name); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *house) options() tenant.Options {
	return tenant.Options{Store: h.store, Sealer: h.sealer, Now: func() time.Time { return h.now }}
}

// open returns a service that has loaded what is stored.
func (h *house) open(t *testing.T) *tenant.Service {
	t.Helper()
	s, err := tenant.Open(t.Context(), h.options())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func grants(roles ...access.Role) []access.Grant {
	list := make([]access.Grant, len(roles))
	for i, r := range roles {
		list[i].Role = r
	}
	return list
}

// caller makes one with a token, in the tenant of by.
func (h *house) caller(t *testing.T, by access.Caller, name string, g []access.Grant) (c *tenant.Caller, token string) {
	t.Helper()
	c, err := h.CreateCaller(t.Context(), by, name, g)
	if err != nil {
		t.Fatalf("CreateCaller: %v", err)
	}
	_, s := h.credential(t, by, c.ID, tenant.Token)
	return c, string(s.Expose())
}

func (h *house) credential(t *testing.T, by access.Caller, id string, kind tenant.Kind) (*tenant.Credential, secret.Bytes) {
	t.Helper()
	k, s, err := h.AddCredential(t.Context(), by, id, kind, 0)
	if err != nil {
		t.Fatalf("AddCredential: %v", err)
	}
	return k, s
}

func (h *house) log(t *testing.T) []store.Entry {
	t.Helper()
	log, err := h.store.Tail(context.Background(), 0, store.MaxList)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != want {
		t.Errorf("%s: got %v, want kind %v", what, err, want)
	}
}

// unknown checks that a token or a credential proves nobody, for a reason that
// the log gets and the caller does not.
func unknown(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if !errors.Is(err, tenant.ErrUnknown) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: got %v, want %q", what, err, reason)
	}
	if got := fault.Public(err); got != "credential is not valid" {
		t.Errorf("%s: the caller sees %q", what, got)
	}
}

func ptr[T any](v T) *T { return &v }
