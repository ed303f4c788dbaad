package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var (
	boss  = access.TenantAdministrator("boss", "home")
	clerk = access.NewCaller("clerk", "home", access.Compile([]access.Grant{{Role: access.Signer}}, nil))
	start = time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)
)

// office is a service with its store, and what it was alarmed of.
type office struct {
	*policy.Service
	store *memory.Store

	mu     sync.Mutex
	alarms []error
}

func newOffice(t testing.TB) *office { return openOffice(t, memory.New()) }

// openOffice returns a service that has loaded what is stored.
func openOffice(t testing.TB, st *memory.Store) *office {
	t.Helper()
	o := &office{store: st}
	var err error
	o.Service, err = policy.Open(t.Context(), policy.Options{
		Store: st, Tenants: []string{"home", "home"}, Now: func() time.Time { return start },
		Alarm: func(err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.alarms = append(o.alarms, err)
		},
	})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return o
}

func deny(id string) []policy.Rule { return []policy.Rule{{ID: id, Deny: true}} }

// set makes a policy that must be in order.
func (o *office) set(t testing.TB, id string, rules []policy.Rule) *policy.Policy {
	t.Helper()
	p, err := o.Set(t.Context(), boss, id, rules, policy.Terms{})
	if err != nil {
		t.Fatalf("Set: %v", err)
	}
	return p
}

// rule returns which rule denies an operation of the tenant, empty for none.
func rule(s *policy.Service) string {
	d := s.Decide(&policy.Request{Caller: clerk, Action: access.KeySign, Key: "k"}, "", "hmac-sha256", nil)
	if !d.Denied {
		return ""
	}
	return d.Rule
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != want {
		t.Errorf("%s: got %v, want kind %v", what, err, want)
	}
}

func TestPoliciesAreAskedInOrder(t *testing.T) {
	o := newOffice(t)
	if o.Active("home") || rule(o.Service) != "" {
		t.Error("a tenant without policies has something to decide")
	}
	o.set(t, "b", deny("x"))
	o.set(t, "c", deny("y"))
	if got := rule(o.Service); got != "b/x" {
		t.Errorf("denied by %q, want b/x", got)
	}
	o.set(t, "a", []policy.Rule{{ID: "key", Use: "other", Audit: policy.Durable}})
	o.set(t, "b", []policy.Rule{{ID: "x", Needs: policy.Needs{MinStrength: 512}}, {ID: "key", Use: "late"}})
	if err := o.Delete(t.Context(), boss, "c", policy.Terms{}); err != nil {
		t.Fatal(err)
	}
	d := o.Decide(&policy.Request{Caller: clerk}, "", "hmac-sha256", nil)
	if d.Denied || d.Key != "other" || d.Audit != policy.Durable || d.CheckKey("hmac-sha256", 32).Rule != "b/x" {
		t.Errorf("Decide: got %+v", d)
	}
	other := access.NewCaller("clerk", "other", nil)
	if d := o.Decide(&policy.Request{Caller: other}, "", "", nil); d.Key != "" || o.Active("other") {
		t.Errorf("another tenant gets %+v", d)
	}
}

func TestDecideSeesTheRequest(t *testing.T) {
	o := newOffice(t)
	o.set(t, "p", []policy.Rule{{ID: "all", Deny: true, When: `action == "key.sign" && caller == "clerk" && tenant == "home" && key == "k" &&
		purpose == "api" && algorithm == "hmac-sha512" && environment == "e" && source == "s" && target == "t" && resource == "r" &&
		classes == ["a", "b", "c"] && labels == {"l": "v"} && address == "192.0.2.1" && time == timestamp("2026-11-03T04:05:06.789012Z")`}})
	r := policy.Request{Caller: clerk, Action: access.KeySign, Key: "k", Address: "[::ffff:192.0.2.1%eth0]:443", Metadata: &api.Metadata{
		Environment: "e", Source: "s", Target: "t", Resource: "r", Classes: []string{"a", "b"}, Labels: map[string]string{"l": "v"},
	}}
	if d := o.Decide(&r, "api", "hmac-sha512", []string{"b", "c"}); d.Rule != "p/all" {
		t.Errorf("Decide: got %+v", d)
	}
	if len(r.Metadata.Classes) != 2 {
		t.Errorf("classes of the request: got %q, want them as they were", r.Metadata.Classes)
	}
	r.Purpose = "webhook"
	if d := o.Decide(&r, "api", "hmac-sha512", []string{"b", "c"}); d.Denied {
		t.Errorf("Decide: the purpose of the key counts before that of the request")
	}
}

func TestSetRefuses(t *testing.T) {
	o := newOffice(t)
	o.set(t, "p", deny("first"))
	tests := []struct {
		name   string
		caller access.Caller
		id     string
		rules  []policy.Rule
		terms  policy.Terms
		kind   fault.Kind
	}{
		{"DoesNotCompile", boss, "p", []policy.Rule{{ID: "a", Deny: true, When: "nothing =="}}, policy.Terms{}, fault.Invalid},
		{"BadID", boss, "P", deny("a"), policy.Terms{}, fault.Invalid},
		{"TooLarge", boss, "p", []policy.Rule{{ID: "a", Deny: true, Labels: map[string]string{"a": strings.Repeat("x", policy.MaxSource)}}}, policy.Terms{}, fault.Invalid},
		{"OtherVersion", boss, "p", deny("a"), policy.Terms{IfVersion: 2}, fault.Conflict},
		{"OtherVersionOfNothing", boss, "q", deny("a"), policy.Terms{IfVersion: 1}, fault.Conflict},
		{"ThereAlready", boss, "p", deny("a"), policy.Terms{IfVersion: policy.IfMissing}, fault.Conflict},
		{"Signer", clerk, "p", deny("a"), policy.Terms{}, fault.Denied},
		{"SignerAsDryRun", clerk, "p", deny("a"), policy.Terms{DryRun: true}, fault.Denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := o.Set(t.Context(), tt.caller, tt.id, tt.rules, tt.terms)
			wantKind(t, "Set", err, tt.kind)
			if got := rule(o.Service); got != "p/first" {
				t.Errorf("denied by %q, want the old policy in force", got)
			}
		})
	}
	_, err := o.Set(t.Context(), boss, "p", deny("a"), policy.Terms{IfVersion: 2})
	if !errors.Is(err, policy.ErrPrecondition) {
		t.Errorf("Set with another version: got %v, want ErrPrecondition", err)
	}
}

func TestMaxPolicies(t *testing.T) {
	o := newOffice(t)
	for i := range policy.MaxPolicies {
		o.set(t, fmt.Sprint(i), nil)
	}
	_, err := o.Set(t.Context(), boss, "more", nil, policy.Terms{})
	wantKind(t, "Set of one more", err, fault.Invalid)
	if err := o.Delete(t.Context(), boss, "0", policy.Terms{}); err != nil {
		t.Fatal(err)
	}
	o.set(t, "more", nil)
}

func TestDryRunStoresNothing(t *testing.T) {
	o := newOffice(t)
	p, err := o.Set(t.Context(), boss, "p", deny("a"), policy.Terms{DryRun: true})
	if err != nil || p.Version != 1 {
		t.Fatalf("Set: got %+v, %v", p, err)
	}
	log, err := o.store.Tail(t.Context(), 0, store.MaxList)
	if err != nil || len(log) != 0 || o.Active("home") {
		t.Errorf("got %d entries, %v, active %v, want nothing", len(log), err, o.Active("home"))
	}
}

func TestVersions(t *testing.T) {
	o := newOffice(t)
	for i := range policy.Kept + 3 {
		o.set(t, "p", deny(fmt.Sprintf("r%d", i+1)))
	}
	list, err := o.Versions(t.Context(), boss, "p")
	if err != nil || len(list) != policy.Kept || list[0].Version != policy.Kept+3 || list[policy.Kept-1].Version != 4 {
		t.Fatalf("Versions: got %d, %v", len(list), err)
	}
	_, err = o.Rollback(t.Context(), boss, "p", 3, policy.Terms{})
	wantKind(t, "Rollback to a version that is gone", err, fault.NotFound)
	_, err = o.Rollback(t.Context(), boss, "none", 1, policy.Terms{})
	wantKind(t, "Rollback of nothing", err, fault.NotFound)
	_, err = o.Rollback(t.Context(), clerk, "p", 4, policy.Terms{})
	wantKind(t, "Rollback by a signer", err, fault.Denied)
	p, err := o.Rollback(t.Context(), boss, "p", 4, policy.Terms{IfVersion: policy.Kept + 3})
	if err != nil || p.Version != policy.Kept+4 || rule(o.Service) != "p/r4" {
		t.Errorf("Rollback: got %+v, %v, denied by %q", p, err, rule(o.Service))
	}
	if err := o.Delete(t.Context(), boss, "p", policy.Terms{}); err != nil || o.Active("home") {
		t.Errorf("Delete: got %v, active %v", err, o.Active("home"))
	}
	wantKind(t, "Delete twice", o.Delete(t.Context(), boss, "p", policy.Terms{}), fault.NotFound)
	_, err = o.Find(boss, "p")
	wantKind(t, "Find what is deleted", err, fault.NotFound)
	_, err = o.Rollback(t.Context(), boss, "p", policy.Kept+5, policy.Terms{})
	wantKind(t, "Rollback to the deletion", err, fault.NotFound)
	if _, err := o.Rollback(t.Context(), boss, "p", policy.Kept+4, policy.Terms{}); err != nil || rule(openOffice(t, o.store).Service) != "p/r4" {
		t.Errorf("Rollback of what is deleted: got %v, denied by %q", err, rule(o.Service))
	}
}

// TestBroken breaks every write both ways. What is said, in force, and stored
// is the same each time, and once more after a restart.
func TestBroken(t *testing.T) {
	writes := []struct {
		name string
		run  func(*office) error
		want string // the rule in force afterwards
	}{
		{"Set", func(o *office) error {
			_, err := o.Set(t.Context(), boss, "p", deny("new"), policy.Terms{IfVersion: 2})
			return err
		}, "p/new"},
		{"Rollback", func(o *office) error {
			_, err := o.Rollback(t.Context(), boss, "p", 1, policy.Terms{})
			return err
		}, "p/one"},
		{"Delete", func(o *office) error { return o.Delete(t.Context(), boss, "p", policy.Terms{}) }, ""},
	}
	for _, w := range writes {
		for name, stored := range map[string]bool{"NotStored": false, "StoredButLost": true} {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				o := newOffice(t)
				o.set(t, "p", deny("one"))
				o.set(t, "p", deny("two"))
				o.store.Fail(memory.Fault{Err: errors.New("lost"), Apply: stored})
				err := w.run(o)
				want := "p/two"
				if stored {
					want = w.want
				}
				if (err == nil) != stored || rule(o.Service) != want || rule(openOffice(t, o.store).Service) != want {
					t.Errorf("got %v, denied by %q and after a restart by %q, want %q", err, rule(o.Service), rule(openOffice(t, o.store).Service), want)
				}
			})
		}
	}
}

// TestApply follows what another node does.
func TestApply(t *testing.T) {
	st := memory.New()
	here, there := openOffice(t, st), openOffice(t, st)
	seen := int64(0)
	follow := func() {
		t.Helper()
		page, err := st.Tail(t.Context(), seen, store.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := here.Apply(t.Context(), page); err != nil {
				t.Fatalf("Apply: %v", err)
			}
		}
		seen = page[len(page)-1].Seq
	}
	there.set(t, "p", deny("a"))
	if follow(); rule(here.Service) != "p/a" {
		t.Errorf("denied by %q, want p/a", rule(here.Service))
	}
	// A version of the future, which this one cannot use.
	put(t, st, "p", 2, `{"version":2,"rules":[{"id":"b","deny":true,"when":"weather.sunny"}],"at":"2026-11-03T04:05:06Z","by":"x"}`, 1)
	follow()
	p, err := here.Find(boss, "p")
	if rule(here.Service) != "p/a" || err != nil || p.Trouble == nil || p.Version != 1 || len(here.alarms) != 1 || !strings.Contains(here.Notice(), "cannot use: 1, tenants that are denied everything for it: 0") {
		t.Errorf("denied by %q with %+v, %v, alarms %v, notice %q, want the old one in force", rule(here.Service), p, err, here.alarms, here.Notice())
	}
	put(t, st, "q", 1, `{"version":1,"rules":[{"id":"b","deny":true}],"at":"2026-11-03T04:05:06Z","by":"x","surplus":1}`, 1)
	if follow(); rule(here.Service) != "q" {
		t.Errorf("denied by %q, want everything denied for q, of which there is no older one", rule(here.Service))
	}
	if _, err := there.Set(t.Context(), boss, "q", nil, policy.Terms{}); err != nil {
		t.Fatal(err)
	}
	if follow(); rule(here.Service) != "p/a" {
		t.Errorf("denied by %q after q was put right, want p/a", rule(here.Service))
	}
}

// put stores a policy as another program would.
func put(t *testing.T, st *memory.Store, id string, version int64, doc string, format int) {
	t.Helper()
	_, err := st.Commit(t.Context(), store.Change{
		Puts:    []store.Record{{Tenant: "home", Kind: "policy", ID: "home/" + id, Name: id, Format: format, Version: version - 1, Doc: []byte(doc)}},
		Entries: []store.Entry{{At: start, Tenant: "home", Caller: "x", Action: "policy.set", Kind: "policy", RecordID: "home/" + id, Name: id}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStoredPolicyThatCannotBeUsed starts with what no one can compile.
func TestStoredPolicyThatCannotBeUsed(t *testing.T) {
	tests := []struct {
		name, doc string
		format    int
	}{
		{"DoesNotCompile", `{"version":1,"rules":[{"id":"b","deny":true,"when":"weather.sunny"}],"at":"2026-11-03T04:05:06Z","by":"x"}`, 1},
		{"Damaged", `[]`, 1},
		{"NewerFormat", `{}`, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := memory.New()
			put(t, st, "p", 1, tt.doc, tt.format)
			o := openOffice(t, st)
			d := o.Decide(&policy.Request{Caller: clerk}, "", "", nil)
			if !o.Active("home") || !d.Denied || d.Rule != "p" || len(o.alarms) != 1 || !strings.Contains(o.Notice(), "cannot use: 1, tenants that are denied everything for it: 1") {
				t.Errorf("got %+v, alarms %v, notice %q", d, o.alarms, o.Notice())
			}
			if d := o.Decide(&policy.Request{Caller: access.NewCaller("c", access.DefaultTenant, nil)}, "", "", nil); d.Denied {
				t.Errorf("another tenant: got %+v", d)
			}
			_, _, err := o.Explain(boss, "p", policy.Input{})
			wantKind(t, "Explain", err, fault.Unavailable)
			_, err = o.Set(t.Context(), boss, "p", nil, policy.Terms{})
			if tt.format > 1 {
				wantKind(t, "Set over a newer format", err, fault.Unavailable)
			} else if err != nil || o.Active("home") || o.Notice() != "" {
				t.Errorf("Set over it: got %v, active %v, notice %q", err, o.Active("home"), o.Notice())
			}
		})
	}
}

func TestServiceExplain(t *testing.T) {
	o := newOffice(t)
	o.set(t, "p", []policy.Rule{{ID: "strong", Needs: policy.Needs{MinStrength: 512}}})
	d, outcomes, err := o.Explain(boss, "p", policy.Input{Algorithm: "hmac-sha256"})
	if err != nil || !d.Denied || d.Rule != "p/strong" {
		t.Errorf("Explain of a weak key: got %+v, %v", d, err)
	}
	if diff := cmp.Diff([]policy.Outcome{{Rule: "strong", Matches: true, Effect: "require"}}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	d, _, err = o.Explain(boss, "p", policy.Input{})
	if demands := d.Explanation(nil).Demands; err != nil || d.Denied || len(demands) != 1 || demands[0].Rule != "p/strong" || demands[0].MinStrength != 512 {
		t.Errorf("Explain without an algorithm: got %+v, %v", d, err)
	}
	_, _, err = o.Explain(clerk, "p", policy.Input{})
	wantKind(t, "Explain by a signer", err, fault.Denied)
	_, _, err = o.Explain(boss, "q", policy.Input{})
	wantKind(t, "Explain of nothing", err, fault.NotFound)
}

// TestConcurrentChanges lets several callers change one policy: none is lost.
func TestConcurrentChanges(t *testing.T) {
	o := newOffice(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 5 {
				if _, err := o.Set(t.Context(), boss, fmt.Sprint(i%2), deny("a"), policy.Terms{}); err != nil {
					t.Error(err)
				}
				rule(o.Service)
			}
		})
	}
	group.Wait()
	for _, id := range []string{"0", "1"} {
		if p, err := o.Find(boss, id); err != nil || p.Version != 20 {
			t.Errorf("policy %s: got %+v, %v, want version 20", id, p, err)
		}
	}
}
