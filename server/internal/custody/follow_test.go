package custody_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// follower is a second node: a service on the store of a house, and how far it
// has followed.
type follower struct {
	*custody.Service
	st  *blind
	seq int64
}

// follow opens a service that follows from here.
func (h *house) follow(t *testing.T, change func(*custody.Options)) *follower {
	t.Helper()
	head, err := h.store.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	f := &follower{st: &blind{Store: h.store}, seq: head}
	o := h.options(f.st)
	if change != nil {
		change(&o)
	}
	if f.Service, err = custody.Open(t.Context(), o); err != nil {
		t.Fatalf("Open: %v", err)
	}
	f.st.calls = 0
	return f
}

// apply gives a service what is new in the log, and returns its error.
func (f *follower) apply(t *testing.T, h *house) error {
	t.Helper()
	page, err := h.store.Tail(t.Context(), f.seq, store.MaxList)
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	if err := f.Apply(t.Context(), page); err != nil {
		return err
	}
	f.seq += int64(len(page))
	return nil
}

// catchUp is apply that must succeed and show what h shows.
func (f *follower) catchUp(t *testing.T, h *house) {
	t.Helper()
	if err := f.apply(t, h); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for _, tenant := range []string{tenant, other.Tenant} {
		if diff := cmp.Diff(describe(t, h.Service, tenant), describe(t, f.Service, tenant)); diff != "" {
			t.Errorf("keys of %s on the other node (-changed there +shown here):\n%s", tenant, diff)
		}
	}
	if f.Count() != h.Count() {
		t.Errorf("Count: got %d, want %d", f.Count(), h.Count())
	}
}

// What one node does, also if the answer of the store was lost or nothing was
// stored, the others show as soon as they have read of it.
func TestApplyShowsEveryWrite(t *testing.T) {
	for _, w := range writes {
		for name, broken := range map[string]*memory.Fault{"": nil, "/NotStored": {Err: errLost}, "/AnswerLost": {Err: errLost, Apply: true}} {
			t.Run(w.name+name, func(t *testing.T) {
				h := brokenHouse(t)
				f := h.follow(t, nil)
				if broken != nil {
					h.store.Fail(*broken)
				}
				if err := w.run(t.Context(), h); (err != nil) != (broken != nil && (!broken.Apply || !w.puts)) {
					t.Fatalf("%s: %v", w.name, err)
				}
				f.catchUp(t, h)
				f.catchUp(t, h) // nothing new
				f.seq = 0
				f.catchUp(t, h) // everything once more
			})
		}
	}
}

// A key made elsewhere, revoked, deleted and brought back.
func TestApplyLife(t *testing.T) {
	h := newHouse(t)
	f := h.follow(t, nil)
	k := h.create(t, "a")
	_, err := f.Get(tenant, "a")
	wantKind(t, "Get before Apply", err, fault.NotFound)
	f.catchUp(t, h)
	tag, _, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if k, err := f.Get(tenant, "a"); err != nil {
		t.Errorf("Get: %v", err)
	} else if v, ok := k.Verify(tag, 0, []byte("m")); !ok || v != 1 {
		t.Errorf("Verify: got %d, %v", v, ok)
	}
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	f.catchUp(t, h)
	if k, err := f.Get(tenant, "a"); err != nil {
		t.Errorf("Get: %v", err)
	} else if v, ok := k.Verify(tag, 0, []byte("m")); ok {
		t.Errorf("revoked version %d verifies", v)
	}
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	f.catchUp(t, h)
	_, err = f.Get(tenant, "a")
	wantKind(t, "Get of a deleted key", err, fault.NotFound)
	if _, err := h.Restore(t.Context(), admin, "a", ""); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	f.catchUp(t, h)
	if _, err = f.Get(tenant, "a"); err != nil {
		t.Errorf("Get after Restore: %v", err)
	}
}

// A caller who knows more than this node is not told otherwise.
func TestRefresh(t *testing.T) {
	h := newHouse(t)
	f := h.follow(t, nil)
	wantKind(t, "no such key", f.Refresh(t.Context(), tenant, "a"), fault.NotFound)
	wantKind(t, "no name", f.Refresh(t.Context(), tenant, "A"), fault.NotFound)
	h.create(t, "a")
	h.rotate(t, "a")
	if err := f.Refresh(t.Context(), tenant, "a"); err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	if k, err := f.Get(tenant, "a"); err != nil || k.Signing != 2 {
		t.Errorf("Get: got %v, %v", k, err)
	}
	f.st.load = fault.New(fault.Unavailable, "away")
	wantKind(t, "store away", f.Refresh(t.Context(), tenant, "a"), fault.Unavailable)
}

// Entries that say nothing new cost no call of the store.
func TestApplyCosts(t *testing.T) {
	h := newHouse(t)
	f := h.follow(t, nil)
	if _, err := f.Create(t.Context(), other, custody.CreateKey{Name: "a"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	for range 3 {
		if _, err := f.Rotate(t.Context(), other, "a", 0, custody.Rotation{}); err != nil {
			t.Fatalf("Rotate: %v", err)
		}
	}
	nobody := access.NewCaller("nobody", other.Tenant, nil)
	if _, err := f.Rotate(t.Context(), nobody, "a", 0, custody.Rotation{}); fault.KindOf(err) != fault.Denied {
		t.Fatalf("Rotate: %v", err)
	}
	if _, err := f.Rewrap(t.Context(), admin); err != nil {
		t.Fatalf("Rewrap: %v", err)
	}
	if _, _, err := h.open(t, h.store).Lease(t.Context(), other, "a", custody.LeaseTerms{TTL: time.Minute}); err != nil {
		t.Fatalf("Lease: %v", err)
	}
	f.st.calls = 0
	if err := f.apply(t, h); err != nil || f.st.calls != 0 {
		t.Errorf("own entries, refusals, leases and data keys: got %d calls, %v", f.st.calls, err)
	}
	h.create(t, "b")
	for range 5 {
		h.rotate(t, "b")
	}
	f.st.calls = 0
	if err := f.apply(t, h); err != nil || f.st.calls > 3 { // the key once, and its data key
		t.Errorf("six changes of one key: got %d calls, %v", f.st.calls, err)
	}
}

// A change that takes long keeps no change of others waiting.
func TestApplyWhileChanging(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	f := h.follow(t, nil)
	h.rotate(t, "a")
	committing, goOn := make(chan bool), make(chan bool)
	f.st.before = func() { committing <- true; <-goOn }
	ended := make(chan error)
	go func() {
		_, err := f.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
		ended <- err
	}()
	<-committing
	h.rotate(t, "a") // so that the commit fails, and is tried again
	f.st.before = nil
	if err := f.apply(t, h); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if k, err := f.Get(tenant, "a"); err != nil || k.Signing != 3 {
		t.Errorf("while a change is under way: got %+v, %v", k, err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Errorf("Rotate: %v", err)
	}
	h.Service = h.open(t, h.store)
	f.catchUp(t, h)
}

// While the store is away nothing is skipped.
func TestApplyStoreAway(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	f := h.follow(t, nil)
	h.rotate(t, "a")
	h.create(t, "b")
	f.st.load = fault.New(fault.Unavailable, "away")
	wantKind(t, "Apply", f.apply(t, h), fault.Unavailable)
	k, err := f.Get(tenant, "a")
	if err != nil || k.Signing != 1 {
		t.Errorf("Get: got %v, %v, want the key as it was", k, err)
	}
	f.st.load = nil
	f.catchUp(t, h)
}

// A key that cannot be read is refused, whatever was known of it. The others
// go on, and once it can be read it is back.
func TestApplyUnreadable(t *testing.T) {
	tests := []struct {
		name   string
		before func(*testing.T, *house) (undo func())
		tenant string
	}{{
		name:   "NewerFormat",
		tenant: tenant,
		before: func(t *testing.T, h *house) func() {
			r := h.record(t, tenant, "key", "a")
			r.Format = 99
			h.put(t, r)
			return nil // no way back to an older format
		},
	}, {
		name:   "Damaged",
		tenant: tenant,
		before: func(t *testing.T, h *house) func() {
			good := h.record(t, tenant, "key", "a")
			bad := good
			bad.Doc = []byte(`{"name":"b"}`)
			h.put(t, bad)
			return func() { good.Version++; h.put(t, good) }
		},
	}, {
		name:   "RootKeyMissing",
		tenant: other.Tenant,
		before: func(t *testing.T, h *house) func() {
			if _, err := local.Add(h.root); err != nil {
				t.Fatalf("Add: %v", err)
			}
			one, err := local.Load(h.root)
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			first := *h
			first.wrapper = one // a node that has the new root key already
			if _, err := first.open(t, h.store).Create(t.Context(), other, custody.CreateKey{Name: "a"}); err != nil {
				t.Fatalf("Create: %v", err)
			}
			return func() {
				if err := h.wrapper.Reload(); err != nil {
					t.Fatalf("Reload: %v", err)
				}
			}
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.create(t, "a")
			h.create(t, "b")
			f := h.follow(t, nil)
			undo := tt.before(t, h)
			entry := store.Entry{At: start, Tenant: tt.tenant, Caller: "test", Action: "test", Kind: "key", Name: "a"}
			if _, err := h.store.Commit(t.Context(), store.Change{Entries: []store.Entry{entry}}); err != nil {
				t.Fatal(err)
			}
			if err := f.apply(t, h); err != nil {
				t.Fatalf("Apply: %v, want the other keys to go on", err)
			}
			_, err := f.Get(tt.tenant, "a")
			wantKind(t, "Get", err, fault.Unavailable)
			if _, err := f.Get(tenant, "b"); err != nil {
				t.Errorf("Get of another key: %v", err)
			}
			if err := f.Step(t.Context()); err == nil || !strings.Contains(err.Error(), `read key "a"`) {
				t.Errorf("Step: got %v, want why the key cannot be read", err)
			}
			if undo == nil {
				return
			}
			undo()
			h.now = h.now.Add(10 * time.Second)
			if err := f.Step(t.Context()); err != nil {
				t.Errorf("Step: %v", err)
			}
			if _, err := f.Get(tt.tenant, "a"); err != nil {
				t.Errorf("Get afterwards: %v", err)
			}
			h.Service = h.open(t, h.store)
			f.catchUp(t, h)
		})
	}
}

// A node that is cut off does not say of anything it has not heard of that it
// does not exist, and goes on with what it has.
func TestNotCurrent(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	current := true
	f := h.follow(t, func(o *custody.Options) { o.Current = func() bool { return current } })
	k := h.rotate(t, "a")
	tag, _, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.Get(tenant, "a")
	if err != nil {
		t.Fatal(err)
	}
	mine, _, err := old.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	derived, err := old.Derive("c")
	if err != nil {
		t.Fatal(err)
	}
	signature := func(tag []byte, version int) api.Signature {
		return api.Signature{Algorithm: old.Algorithm, KeyID: "a", Version: version, Tag: tag}
	}
	for _, tt := range []struct {
		current bool
		want    fault.Kind // of what is not known
	}{{true, fault.NotFound}, {false, fault.Unavailable}} {
		current = tt.current
		_, err := f.Get(tenant, "b")
		wantKind(t, "Get of an unknown key", err, tt.want)
		_, err = old.MAC(2)
		wantKind(t, "MAC of an unknown version", err, tt.want)
		_, err = derived.MAC(2)
		wantKind(t, "MAC of an unknown version of a derived key", err, tt.want)
		if err := old.VerifySignature(signature(tag, 2), []byte("m")); (fault.KindOf(err) == fault.Unavailable) == tt.current {
			t.Errorf("current %v: signature by an unknown version: got %v", tt.current, err)
		}
		if err := old.VerifySignature(signature(tag, 1), []byte("m")); err == nil || fault.KindOf(err) == fault.Unavailable {
			t.Errorf("current %v: wrong signature by a known version: got %v", tt.current, err)
		}
		if err := old.VerifySignature(signature(mine, 1), []byte("m")); err != nil {
			t.Errorf("current %v: right signature: got %v", tt.current, err)
		}
		if err := old.Unsure(); (err == nil) != tt.current || err != nil && fault.KindOf(err) != fault.Unavailable {
			t.Errorf("current %v: Unsure: got %v", tt.current, err)
		}
	}
	if err := h.create(t, "c").Unsure(); err != nil {
		t.Errorf("Unsure without other nodes: %v", err)
	}
}

// What must not be used is refused by all that use a key.
func TestNotUsable(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	var stale error
	f := h.follow(t, func(o *custody.Options) { o.Usable = func() error { return stale } })
	if _, err := f.Get(tenant, "a"); err != nil {
		t.Fatalf("Get: %v", err)
	}
	stale = fault.New(fault.Unavailable, "stale")
	_, err := f.Get(tenant, "a")
	wantKind(t, "Get", err, fault.Unavailable)
	_, _, err = f.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: time.Minute})
	wantKind(t, "Lease", err, fault.Unavailable)
	_, err = f.VerifyLease(t.Context(), admin, "a", "", "", nil, nil)
	wantKind(t, "VerifyLease", err, fault.Unavailable)
}

// A lease by a version that this node has not heard of is not refused for good.
func TestLeaseOfUnknownVersion(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	f := h.follow(t, func(o *custody.Options) { o.Leases = h.store })
	h.rotate(t, "a")
	l, material, err := h.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: time.Minute})
	if err != nil {
		t.Fatalf("Lease: %v", err)
	}
	tag := tagOf(t, material)
	_, err = f.VerifyLease(t.Context(), admin, "a", l.ID, "", tag, []byte("m"))
	wantKind(t, "before Apply", err, fault.Unavailable)
	f.catchUp(t, h)
	if _, err = f.VerifyLease(t.Context(), admin, "a", l.ID, "", tag, []byte("m")); err != nil {
		t.Errorf("after Apply: %v", err)
	}
}

// slow is a cluster whose nodes have applied everything up to a seq.
type slow struct {
	st      *memory.Store
	applied int64
}

func (s *slow) Head(ctx context.Context) (int64, error) { return s.st.Head(ctx) }
func (s *slow) Applied(context.Context) (int64, error)  { return s.applied, nil }
func (s *slow) options(t *testing.T) func(*custody.Options) {
	return func(o *custody.Options) { o.Nodes = s }
}

// A version signs when all nodes have applied the change that added it, on
// whichever node that is noticed, and not a change earlier.
func TestPromoteWhenApplied(t *testing.T) {
	for _, who := range []string{"TheNodeThatRotated", "AnotherNode", "ANodeThatStarted", "AnswerLost"} {
		t.Run(who, func(t *testing.T) {
			h := newHouse(t)
			cluster := &slow{st: h.store}
			h.with(t, cluster.options(t))
			h.create(t, "a")
			f := h.follow(t, cluster.options(t))
			if f.Waiting() || h.Waiting() {
				t.Error("Waiting before the rotation")
			}
			if who == "AnswerLost" {
				h.store.Fail(memory.Fault{Err: errLost, Apply: true})
			}
			h.rotate(t, "a")
			added, err := h.store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f.catchUp(t, h)
			actor := h.Service
			switch who {
			case "AnotherNode":
				actor = f.Service
			case "ANodeThatStarted":
				actor = h.follow(t, cluster.options(t)).Service
			}
			if !actor.Waiting() {
				t.Error("not Waiting while a version is pending")
			}
			cluster.applied = added - 1
			for range 2 {
				if err := actor.Step(t.Context()); err != nil {
					t.Fatalf("Step: %v", err)
				}
				h.create(t, strings.Repeat("x", int(added))) // the log goes on
				added++
			}
			if k, _ := actor.Get(tenant, "a"); k.Signing != 1 {
				t.Error("promoted before all nodes had it")
			}
			cluster.applied++
			if err := actor.Step(t.Context()); err != nil {
				t.Fatalf("Step: %v", err)
			}
			if k, _ := actor.Get(tenant, "a"); k.Signing != 2 {
				t.Error("not promoted when all nodes had it")
			}
			if actor.Waiting() {
				t.Error("Waiting after the promotion")
			}
			if err := f.apply(t, h); err != nil {
				t.Fatalf("Apply: %v", err)
			}
			if err := f.Step(t.Context()); err != nil {
				t.Errorf("Step of another node: %v", err)
			}
		})
	}
}

// Nodes that promote at the same time do not complain about each other.
func TestPromoteTogether(t *testing.T) {
	h := newHouse(t)
	cluster := &slow{st: h.store, applied: 1000}
	h.with(t, cluster.options(t))
	h.create(t, "a")
	f := h.follow(t, cluster.options(t))
	h.rotate(t, "a")
	if err := f.apply(t, h); err != nil {
		t.Fatal(err)
	}
	h.step(t)
	if err := f.Step(t.Context()); err != nil { // has not heard of the promotion
		t.Errorf("Step of the second node: %v", err)
	}
	f.catchUp(t, h)
	h.rotate(t, "a")
	f.catchUp(t, h)
	f.st.commit = fault.New(fault.Conflict, "changed")
	if err := f.Step(t.Context()); err != nil {
		t.Errorf("Step of a node that always loses: %v", err)
	}
	f.st.commit = errors.New("broken")
	if err := f.Step(t.Context()); err == nil {
		t.Error("Step: got no error, want the one of the store")
	}
}
