package quota_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/quota"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var (
	boss  = access.TenantAdministrator("boss", "home")
	other = access.TenantAdministrator("boss", "other")

	platform = limit.Rule{Name: "all", Scope: limit.ScopeCaller, Rate: 100, Per: limit.Hour}
	keys     = limit.Rule{Scope: limit.ScopeKey, Rate: 2, Per: limit.Hour}
)

// node is a service with its limiter.
type node struct {
	*quota.Service
	limiter *limit.Limiter
	alarms  []error
}

func open(t *testing.T, db *memory.Store) *node {
	t.Helper()
	n := &node{limiter: limit.NewLimiter(limit.Local{Map: limit.NewMap(time.Now(), 0)})}
	var err error
	n.Service, err = quota.Open(t.Context(), quota.Options{
		Store: db, Limiter: n.limiter, Platform: []limit.Rule{platform}, Tenants: []string{"home", "other"},
		Alarm: func(err error) { n.alarms = append(n.alarms, err) },
	})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return n
}

func (n *node) set(t *testing.T, by access.Caller, name string, r limit.Rule) *quota.Limit {
	t.Helper()
	l, err := n.Set(t.Context(), by, name, 0, r)
	if err != nil {
		t.Fatalf("Set %s: %v", name, err)
	}
	return l
}

// catchUp applies everything that is stored.
func (n *node) catchUp(t *testing.T, db *memory.Store) {
	t.Helper()
	entries, err := db.Tail(t.Context(), 0, 1000)
	if err == nil {
		err = n.Apply(t.Context(), entries)
	}
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

// wantNames checks which limits hold.
func (n *node) wantNames(t *testing.T, by access.Caller, want ...string) {
	t.Helper()
	list, err := n.List(by)
	var got []string
	for _, l := range list {
		got = append(got, l.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("List: %v (-want +got):\n%s", err, diff)
	}
}

// takes reports how many of 10 units of a key pass.
func (n *node) takes(t *testing.T, tenant, key string) int {
	t.Helper()
	taken := 0
	for range 10 {
		if n.limiter.CheckKey(t.Context(), tenant, key, 1).OK {
			taken++
		}
	}
	return taken
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != want {
		t.Errorf("%s: got %v, want kind %v", what, err, want)
	}
}

// A limit is in force where it was set, after a restart, and at another node
// when that has heard of it; in its tenant only.
func TestSet(t *testing.T) {
	db := memory.New()
	a, b := open(t, db), open(t, db)
	l := a.set(t, boss, "keys", keys)
	if l.Version != 1 || l.Tenant != "home" || l.Name != "keys" {
		t.Errorf("got %+v", l)
	}
	if got := b.takes(t, "home", "k"); got != 10 {
		t.Errorf("%d units pass where the limit is not known yet, want 10", got)
	}
	b.catchUp(t, db)
	b.catchUp(t, db)
	for name, n := range map[string]*node{"the same": a, "another": b, "a new": open(t, db)} {
		if got := n.takes(t, "home", "x"); got != 2 {
			t.Errorf("%d units pass at %s node, want 2", got, name)
		}
		if got := n.takes(t, "other", "x"); got != 10 {
			t.Errorf("%d units pass in another tenant at %s node, want 10", got, name)
		}
		n.wantNames(t, boss, "keys", "all")
		n.wantNames(t, other, "all")
	}
	wider := keys
	wider.Rate = 5
	if l = a.set(t, boss, "keys", wider); l.Version != 2 {
		t.Errorf("got version %d, want 2", l.Version)
	}
	if err := a.Delete(t.Context(), boss, "keys", 2); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	b.catchUp(t, db)
	for _, n := range []*node{a, b, open(t, db)} {
		n.wantNames(t, boss, "all")
		if got := n.takes(t, "home", "y"); got != 10 {
			t.Errorf("%d units pass after the limit is deleted, want 10", got)
		}
	}
	if l = a.set(t, boss, "keys", keys); l.Version != 4 {
		t.Errorf("got version %d of a limit that was deleted, want 4", l.Version)
	}
}

func TestRefused(t *testing.T) {
	db := memory.New()
	n := open(t, db)
	n.set(t, boss, "keys", keys)
	_, err := n.Set(t.Context(), boss, "more", 0, keys)
	wantKind(t, "Set beside one that counts the same", err, fault.Invalid)
	_, err = n.Set(t.Context(), boss, "addresses", 0, limit.Rule{Scope: limit.ScopeAddress, Rate: 1, Per: limit.Hour})
	wantKind(t, "Set of addresses", err, fault.Invalid)
	_, err = n.Set(t.Context(), boss, "No Name", 0, keys)
	wantKind(t, "Set of another name", err, fault.Invalid)
	if _, err := n.Set(t.Context(), boss, "keys", 7, keys); !errors.Is(err, quota.ErrPrecondition) {
		t.Errorf("Set of another version: got %v", err)
	}
	_, err = n.Set(t.Context(), boss, "new", 1, keys)
	wantKind(t, "Set of a version of nothing", err, fault.NotFound)
	wantKind(t, "Delete of the platform's", n.Delete(t.Context(), boss, "all", 0), fault.NotFound)
	wantKind(t, "Delete of another tenant's", n.Delete(t.Context(), other, "keys", 0), fault.NotFound)
	n.wantNames(t, boss, "keys", "all")

	nobody := access.NewCaller("nobody", "home", nil)
	_, err = n.Set(t.Context(), nobody, "keys", 0, keys)
	wantKind(t, "Set without the right", err, fault.Denied)
	wantKind(t, "Delete without the right", n.Delete(t.Context(), nobody, "keys", 0), fault.Denied)
	_, err = n.List(nobody)
	wantKind(t, "List without the right", err, fault.Denied)
	entries, err := db.Tail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	refusals := 0
	for _, e := range entries {
		if e.Reason != "" && e.Caller == "nobody" && e.Name == "keys" {
			refusals++
		}
	}
	if refusals != 2 {
		t.Errorf("%d refusals are in the log, want 2", refusals)
	}
}

// A write that was not stored changes nothing; one whose answer was lost counts.
func TestBroken(t *testing.T) {
	lost := errors.New("lost")
	for _, apply := range []bool{false, true} {
		db := memory.New()
		n := open(t, db)
		db.Fail(memory.Fault{Err: lost, Apply: apply})
		if _, err := n.Set(t.Context(), boss, "keys", 0, keys); apply != (err == nil) {
			t.Errorf("stored %v: Set: got %v", apply, err)
		}
		want := map[bool]int{false: 10, true: 2}[apply]
		if got := n.takes(t, "home", "k"); got != want {
			t.Errorf("stored %v: %d units pass, want %d", apply, got, want)
		}
		if got := open(t, db).takes(t, "home", "k"); got != want {
			t.Errorf("stored %v: %d units pass after a restart, want %d", apply, got, want)
		}
	}
}

// Two nodes that make limits which cannot stand together put the same one into
// force.
func TestMadeAtOnce(t *testing.T) {
	db := memory.New()
	a, b := open(t, db), open(t, db)
	wider := keys
	wider.Rate = 5
	b.set(t, boss, "b", wider)
	a.set(t, boss, "a", keys) // it has not heard of b
	a.catchUp(t, db)
	b.catchUp(t, db)
	for name, n := range map[string]*node{"a": a, "b": b} {
		if got := n.takes(t, "home", "k"); got != 2 {
			t.Errorf("%d units pass at node %s, want 2, by the first name", got, name)
		}
		if len(n.alarms) == 0 {
			t.Errorf("node %s has told nobody", name)
		}
	}
}

func TestUsage(t *testing.T) {
	n := open(t, memory.New())
	l := n.set(t, boss, "keys", keys)
	n.limiter.CheckKey(t.Context(), "home", "k", 1)
	for subject, want := range map[string]int{"k": 1, "unused": 2} {
		for range 2 { // asking takes nothing
			r, err := n.Usage(t.Context(), boss, l, subject)
			if err != nil || r.Remaining != want || r.Limit.Burst != 2 {
				t.Errorf("Usage of %s: got %+v, %v, want %d left", subject, r, err, want)
			}
		}
	}
	_, err := n.Usage(t.Context(), boss, l, "")
	wantKind(t, "Usage of nobody", err, fault.Invalid)
	address := &quota.Limit{Rule: limit.Rule{Name: "x", Scope: limit.ScopeAddress, Rate: 1, Per: limit.Hour}}
	if r, err := n.Usage(t.Context(), boss, address, "192.0.2.1"); err != nil || r.Remaining != 1 {
		t.Errorf("Usage of an address: got %+v, %v", r, err)
	}
	_, err = n.Usage(t.Context(), boss, address, "nowhere")
	wantKind(t, "Usage of no address", err, fault.Invalid)
	tenants := n.set(t, boss, "tenants", limit.Rule{Scope: limit.ScopeTenant, Rate: 3, Per: limit.Day})
	if r, err := n.Usage(t.Context(), boss, tenants, ""); err != nil || r.Remaining != 3 {
		t.Errorf("Usage of the tenant: got %+v, %v", r, err)
	}
	_, err = n.Usage(t.Context(), boss, tenants, "other")
	wantKind(t, "Usage of another tenant", err, fault.Invalid)
	if list, err := n.List(boss); err != nil || !slices.ContainsFunc(list, func(l *quota.Limit) bool { return l.Tenant == "" }) {
		t.Errorf("List has none of the platform: %v", err)
	}
}
