package keyring_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// maxPrepared is what the documentation of Prepared promises.
const maxPrepared = 16

var errMake = errors.New("not in the cache")

// sha256Of prepares the secret as it is.
func sha256Of(s secret.Bytes) (*mac.Key, error) { return mac.New(mac.SHA256, s) }

// cached reports whether k keeps a MAC key under name. It keeps nothing itself.
func cached(k *keyring.Key, name string) bool {
	_, err := k.Prepared(name, func(secret.Bytes) (*mac.Key, error) { return nil, errMake })
	return err == nil
}

func signing(tb testing.TB, r *keyring.Ring) *keyring.Key {
	tb.Helper()
	k, err := r.Signing(t0)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func prepare(tb testing.TB, k *keyring.Key, name string) *mac.Key {
	tb.Helper()
	m, err := k.Prepared(name, sha256Of)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestPreparedKeeps(t *testing.T) {
	k := signing(t, mustRing(t, key("k", 1)))
	calls := 0
	make := func(s secret.Bytes) (*mac.Key, error) {
		calls++
		if string(s.Expose()) != "secret of k/1" {
			t.Errorf("make was given another secret of %d bytes", s.Len())
		}
		return sha256Of(s)
	}
	first, err := k.Prepared("a", make)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Prepared("a", make)
	if err != nil || again != first || calls != 1 {
		t.Errorf("second call = %p, %v after %d calls of make, want %p after 1", again, err, calls, first)
	}
	other, err := k.Prepared("b", make)
	if err != nil || other == first || calls != 2 {
		t.Errorf("other name = %p, %v after %d calls of make, want another key after 2", other, err, calls)
	}
}

// TestPreparedFor: the two parts of a name are not joined, and no second part
// is the same as an empty one.
func TestPreparedFor(t *testing.T) {
	k := signing(t, mustRing(t, key("k", 1)))
	want, err := k.PreparedFor("ab", "c", sha256Of)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.PreparedFor("ab", "c", sha256Of); err != nil || got != want {
		t.Errorf("same name = %p, %v, want %p", got, err, want)
	}
	for _, name := range [][2]string{{"a", "bc"}, {"abc", ""}, {"ab", ""}, {"", "c"}, {"c", "ab"}} {
		if got, err := k.PreparedFor(name[0], name[1], sha256Of); err != nil || got == want {
			t.Errorf("name %q = %p, %v, want another key", name, got, err)
		}
	}
	first, err := k.PreparedFor("ab", "", sha256Of)
	if got := prepare(t, k, "ab"); err != nil || got != first {
		t.Errorf("Prepared = %p, want %p as without second part, %v", got, first, err)
	}
}

func TestPreparedErrorIsNotKept(t *testing.T) {
	k := signing(t, mustRing(t, key("k", 1)))
	for range 2 {
		if cached(k, "a") {
			t.Error("an error was kept as a key")
		}
	}
	prepare(t, k, "a")
	if !cached(k, "a") {
		t.Error("a key after an error was not kept")
	}
}

func TestPreparedOutsideARing(t *testing.T) {
	k := key("k", 1)
	if first, second := prepare(t, &k, "a"), prepare(t, &k, "a"); first == second {
		t.Error("a key in no ring keeps a MAC key")
	}
}

// TestPreparedIsShared: a ring that was made from another keeps what is warm.
func TestPreparedIsShared(t *testing.T) {
	r := mustRing(t, key("k", 1), key("k", 2), key("k", 3))
	version := func(r *keyring.Ring) *keyring.Key {
		k, err := r.Version(2)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want := prepare(t, version(r), "a")
	for name, change := range map[string]func() (*keyring.Ring, error){
		"Add":     func() (*keyring.Ring, error) { return r.Add(key("k", 4)) },
		"Promote": func() (*keyring.Ring, error) { return r.Promote("k", 2) },
		"Retire":  func() (*keyring.Ring, error) { return r.Retire("k", 2, at(1)) },
		"Remove":  func() (*keyring.Ring, error) { return r.Remove("k", 3) },
	} {
		next, err := change()
		if err != nil {
			t.Fatal(err)
		}
		if got := prepare(t, version(next), "a"); got != want {
			t.Errorf("%s: the MAC key was made again", name)
		}
	}
}

// TestPreparedIsOfItsSecret: a key that was copied out of a ring and given
// another secret must not use what was prepared for the first one.
func TestPreparedIsOfItsSecret(t *testing.T) {
	r := mustRing(t, key("k", 1))
	message := []byte("message")
	old, err := prepare(t, signing(t, r), "a").Sum(nil, message)
	if err != nil {
		t.Fatal(err)
	}
	k := r.Keys()[0]
	k.Version, k.Secret = 2, secret.FromString("another secret")
	r, err = r.Add(k)
	if err != nil {
		t.Fatal(err)
	}
	added, err := r.Version(2)
	if err != nil {
		t.Fatal(err)
	}
	if prepare(t, added, "a").Verify(old, message) {
		t.Error("version 2 verifies what the secret of version 1 has signed")
	}
}

func TestPreparedBound(t *testing.T) {
	k := signing(t, mustRing(t, key("k", 1)))
	count := func(n int) (kept int) {
		for i := range n {
			if cached(k, fmt.Sprint(i)) {
				kept++
			}
		}
		return kept
	}
	for n := 1; n <= 100; n++ {
		prepare(t, k, fmt.Sprint(n-1))
		if !cached(k, fmt.Sprint(n-1)) {
			t.Fatalf("the key that was just made under name %d is not kept", n-1)
		}
		if got, want := count(n), min(n, maxPrepared); got != want {
			t.Fatalf("after %d names %d are kept, want %d", n, got, want)
		}
	}
}

// TestPreparedConcurrency is for the race detector: all goroutines get one key
// for a name, also while others push names out.
func TestPreparedConcurrency(t *testing.T) {
	k := signing(t, mustRing(t, key("k", 1)))
	var got [8]*mac.Key
	var makes atomic.Int32
	var wg sync.WaitGroup
	for g := range got {
		wg.Go(func() {
			m, err := k.Prepared("a", func(s secret.Bytes) (*mac.Key, error) {
				makes.Add(1)
				return sha256Of(s)
			})
			if err != nil {
				t.Error(err)
			}
			got[g] = m
		})
	}
	wg.Wait()
	for _, m := range got {
		if m == nil || m != got[0] {
			t.Errorf("goroutines got %v: not one key", got)
			break
		}
	}
	if n := makes.Load(); n < 1 || n > 8 {
		t.Errorf("make was called %d times", n)
	}
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				m, err := k.Prepared(fmt.Sprint(i%20*(g+1)), sha256Of)
				if err != nil || m.Algorithm() != mac.SHA256 {
					t.Errorf("Prepared = %v, %v", m, err)
				}
			}
		})
	}
	wg.Wait()
}
