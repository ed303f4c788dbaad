package custody_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// Get, Sign and Verify make no store call.
func TestNoStoreCall(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	st := &blind{Store: h.store}
	s := h.open(t, st)
	st.calls = 0
	k, err := s.Get(tenant, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	tag, version, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	k.Verify(tag, version, []byte("m"))
	k.Verify(tag, 0, []byte("n"))
	_, _ = s.Get(tenant, "unknown")
	_, _, _ = s.List(admin, access.KeyRead, "", 10)
	if st.calls != 0 {
		t.Errorf("got %d store calls, want 0", st.calls)
	}
}

// While keys rotate, whoever gets a key sees one state of it: what it signs it
// verifies, versions only go up, and tags of before verify on.
func TestRotateWhileSigning(t *testing.T) {
	h := newHouse(t)
	s := h.open(t, openSQLite(t))
	const keys, rotations = 3, 15
	var rotating, signing sync.WaitGroup
	var stop atomic.Bool
	for i := range keys {
		name := fmt.Sprint("key-", i)
		k, err := s.Create(t.Context(), admin, custody.CreateKey{Name: name})
		if err != nil {
			t.Fatalf("Create: %v", err)
		}
		first, _, err := k.Sign(nil, []byte("first"))
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		rotating.Go(func() {
			for range rotations {
				if _, err := s.Rotate(t.Context(), admin, name, 0, custody.Rotation{}); err != nil {
					t.Errorf("Rotate: %v", err)
				}
			}
		})
		signing.Go(func() {
			last := 0
			for !stop.Load() && !t.Failed() {
				last = signOnce(t, s, name, first, last)
			}
		})
	}
	rotating.Wait()
	stop.Store(true)
	signing.Wait()
	for i := range keys {
		if k, err := s.Get(tenant, fmt.Sprint("key-", i)); err != nil || k.Signing != rotations+1 || k.ETagVersion != rotations+1 {
			t.Errorf("key %d: got %+v, %v", i, k, err)
		}
	}
}

// signOnce returns the version that signed, which must not be below last.
func signOnce(t *testing.T, s *custody.Service, name string, first []byte, last int) int {
	k, err := s.Get(tenant, name)
	if err != nil {
		t.Errorf("Get: %v", err)
		return last
	}
	tag, version, err := k.Sign(nil, []byte(name))
	if err != nil || version < last || version != k.Signing || len(k.Versions) != version {
		t.Errorf("Sign: got version %d of %d after %d, %v", version, len(k.Versions), last, err)
	}
	if err := k.VerifySignature(k.Signature(tag, version), []byte(name)); err != nil {
		t.Errorf("VerifySignature: %v", err)
	}
	if now, err := s.Get(tenant, name); err != nil {
		t.Errorf("Get: %v", err)
	} else if _, ok := now.Verify(tag, version, []byte(name)); !ok {
		t.Errorf("Verify of version %d a moment later: got false", version)
	}
	if _, ok := k.Verify(first, 1, []byte("first")); !ok {
		t.Errorf("Verify of version 1 while version %d signs: got false", version)
	}
	return version
}

// Two processes rotate one key: every success is one version, and a process
// that was behind catches up.
func TestRotateInTwoServices(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	services := []*custody.Service{h.Service, h.open(t, h.store)}
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			_, err := services[i%2].Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
			switch fault.KindOf(err) {
			case 0:
				done.Add(1)
			case fault.Conflict: // lost three times
			default:
				t.Errorf("Rotate: %v", err)
			}
		})
	}
	group.Wait()
	for _, s := range services {
		k, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
		if err != nil || int64(k.Signing) != done.Add(1)+1 {
			t.Errorf("Rotate: got version %d, %v, want %d", k.Signing, err, done.Load()+1)
		}
	}
	if n := int64(len(h.log(t))); n != 3*done.Load()+2 { // added, promoted, superseded
		t.Errorf("log has %d entries, want %d", n, 3*done.Load()+2)
	}
}

// Many rotate one key in one process: they wait for each other, so each of
// them succeeds.
func TestRotateInOneService(t *testing.T) {
	h := newHouse(t)
	s := h.open(t, openSQLite(t))
	if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "a"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	const n = 20
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			if _, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{}); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		})
	}
	group.Wait()
	if k, err := s.Get(tenant, "a"); err != nil || k.Signing != n+1 {
		t.Errorf("Get: got version %d, %v, want %d", k.Signing, err, n+1)
	}
}

// Many make keys at the same time. The store answers them in batches, so that
// they show their keys at the same moment.
func TestCreateInOneService(t *testing.T) {
	h := newHouse(t)
	s := h.open(t, openSQLite(t))
	const n = 500
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: fmt.Sprint(i)}); err != nil {
				t.Errorf("Create: %v", err)
			}
		})
	}
	group.Wait()
	for i := range n {
		if _, err := s.Get(tenant, fmt.Sprint(i)); err != nil {
			t.Errorf("Get: %v", err)
		}
	}
	if keys, _, err := s.List(admin, access.KeyRead, "", custody.MaxList); err != nil || len(keys) != n || s.Count() != n {
		t.Errorf("List: got %d keys, %v and Count %d, want %d", len(keys), err, s.Count(), n)
	}
}

func openSQLite(t *testing.T) *sqlite.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}

// overtaken is a store on which others are faster: they change the record
// before each of the next commits.
type overtaken struct {
	custody.Store
	by    func()
	times int
	fail  error // what the commits return instead of being made; nil makes them
}

func (o *overtaken) Commit(ctx context.Context, c store.Change) (int64, error) {
	if o.times == 0 {
		return o.Store.Commit(ctx, c)
	}
	o.times--
	o.by()
	if o.fail != nil {
		return 0, o.fail
	}
	return o.Store.Commit(ctx, c)
}

func TestOvertaken(t *testing.T) {
	for _, tt := range []struct {
		times int
		want  fault.Kind
	}{{1, 0}, {2, 0}, {3, fault.Conflict}} {
		h := newHouse(t)
		h.create(t, "a")
		first := &overtaken{Store: h.store, times: tt.times, by: func() { h.rotate(t, "a") }}
		s := h.open(t, first)
		k, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
		wantKind(t, fmt.Sprintf("Rotate, overtaken %d times", tt.times), err, tt.want)
		if err == nil && k.Signing != tt.times+2 {
			t.Errorf("Rotate, overtaken %d times: got version %d, want %d", tt.times, k.Signing, tt.times+2)
		}
		fresh, getErr := h.open(t, h.store).Get(tenant, "a")
		if want := 1 + tt.times + map[bool]int{true: 1, false: 0}[err == nil]; getErr != nil || fresh.Signing != want {
			t.Errorf("overtaken %d times: the store has version %d, %v, want %d", tt.times, fresh.Signing, getErr, want)
		}
	}
}

// A commit that failed is not taken for the one of somebody else that made the
// same version.
func TestOvertakenWhileTheAnswerIsLost(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	first := &overtaken{
		Store: h.store, times: 1, by: func() { h.rotate(t, "a") }, fail: fault.New(fault.Unavailable, "store is gone"),
	}
	s := h.open(t, first)
	_, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate", err, fault.Unavailable)
	k, err := s.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	if err != nil || k.Signing != 3 {
		t.Errorf("Rotate again: got version %d, %v, want 3", k.Signing, err)
	}
}

// Two processes make the first key of a tenant: one of them makes the data key
// for both.
func TestCreateFirstInTwoServices(t *testing.T) {
	for range 20 {
		h := newHouse(t)
		services := []*custody.Service{h.Service, h.open(t, h.store), h.open(t, h.store)}
		var group sync.WaitGroup
		for i, s := range services {
			group.Go(func() {
				if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: fmt.Sprint("key-", i)}); err != nil {
					t.Errorf("Create: %v", err)
				}
			})
		}
		group.Wait()
		if got := h.open(t, h.store).Count(); got != len(services) {
			t.Errorf("Count: got %d, want %d", got, len(services))
		}
	}
}

// With a precondition, of many who saw the same state one wins.
func TestPreconditionHasOneWinner(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	services := []*custody.Service{h.Service, h.open(t, h.store)}
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range 10 {
		group.Go(func() {
			_, err := services[i%2].Rotate(t.Context(), admin, "a", 1, custody.Rotation{})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, custody.ErrPrecondition):
				t.Errorf("Rotate: got %v, want ErrPrecondition", err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d rotations won, want 1", won.Load())
	}
}

// Keys are made, listed and deleted by many at the same time.
func TestChangeWhileListing(t *testing.T) {
	h := newHouse(t)
	h.create(t, "stays")
	const workers, each = 4, 25
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d-%d", w, i)
				if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: name}); err != nil {
					t.Errorf("Create: %v", err)
				}
				keys, _, err := h.List(admin, access.KeyRead, "", custody.MaxList)
				if err != nil || keys[len(keys)-1].Name != "stays" {
					t.Errorf("List: got %d keys, %v", len(keys), err)
				}
				if i%2 == 0 {
					if err := h.Delete(t.Context(), admin, name, 1); err != nil {
						t.Errorf("Delete: %v", err)
					}
				}
			}
		})
	}
	group.Wait()
	h.checkReopened(t)
	if want := 1 + workers*(each/2); h.Count() != want {
		t.Errorf("Count: got %d, want %d", h.Count(), want)
	}
}
