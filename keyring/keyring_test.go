package keyring_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

func TestNew(t *testing.T) {
	empty := key("k", 1)
	empty.Secret = secret.Bytes{}
	tests := []struct {
		name string
		keys []keyring.Key
		want string
		err  error
	}{
		{"NoKeys", nil, "", keyring.ErrNoKeys},
		{"One", []keyring.Key{key("k", 1)}, "*k/1", nil},
		{"FirstSigns", []keyring.Key{key("k", 3), key("k", 1), key("k", 2)}, "*k/3 k/1 k/2", nil},
		{"VersionsNotUsed", []keyring.Key{key("a", 0), key("b", 0)}, "*a/0 b/0", nil},
		{"NoIDs", []keyring.Key{key("", 1), key("", 2)}, "*/1 /2", nil},
		{"OneVersionOfTwoIDs", []keyring.Key{key("a", 1), key("b", 1)}, "*a/1 b/1", nil},
		{"Windows", []keyring.Key{window(key("k", 1), t0, at(1)), window(key("k", 2), time.Time{}, at(2))}, "*k/1[0,1) k/2[,2)", nil},
		{"Duplicate", []keyring.Key{key("k", 1), key("k", 2), key("k", 1)}, "", keyring.ErrDuplicate},
		{"DuplicateWithoutNames", []keyring.Key{key("", 0), key("", 0)}, "", keyring.ErrDuplicate},
		{"A01EmptySecret", []keyring.Key{empty}, "", keyring.ErrEmptySecret},
		{"A01EmptySecretBehind", []keyring.Key{key("k", 2), empty}, "", keyring.ErrEmptySecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := keyring.New(tt.keys...)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				if r != nil {
					t.Errorf("New = %v beside an error", r)
				}
				return
			}
			if got := show(r); got != tt.want || r.Len() != len(tt.keys) {
				t.Errorf("New = %s with %d keys, want %s", got, r.Len(), tt.want)
			}
		})
	}
}

func TestMust(t *testing.T) {
	if got := show(keyring.Must(key("k", 1))); got != "*k/1" {
		t.Errorf("Must = %s", got)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, keyring.ErrNoKeys) {
			t.Errorf("recover = %v, want %v", err, keyring.ErrNoKeys)
		}
	}()
	keyring.Must()
}

// TestChange is the table of all ways to get from one ring to the next.
func TestChange(t *testing.T) {
	type change func(*keyring.Ring) (*keyring.Ring, error)
	add := func(k keyring.Key) change {
		return func(r *keyring.Ring) (*keyring.Ring, error) { return r.Add(k) }
	}
	promote := func(id string, v int) change {
		return func(r *keyring.Ring) (*keyring.Ring, error) { return r.Promote(id, v) }
	}
	retire := func(id string, v int, until time.Time) change {
		return func(r *keyring.Ring) (*keyring.Ring, error) { return r.Retire(id, v, until) }
	}
	remove := func(id string, v int) change {
		return func(r *keyring.Ring) (*keyring.Ring, error) { return r.Remove(id, v) }
	}
	one := []keyring.Key{key("k", 1)}
	three := []keyring.Key{key("k", 1), key("k", 2), key("k", 3)}
	twoIDs := []keyring.Key{key("a", 1), key("b", 1), key("", 1)}
	ended := []keyring.Key{key("k", 1), window(key("k", 2), at(-2), at(2))}
	tests := []struct {
		name    string
		from    []keyring.Key
		changes []change
		want    string
		err     error // of the last change
		text    string
	}{
		{"Add", one, []change{add(key("k", 2))}, "*k/1 k/2", nil, ""},
		{"AddOlderVersion", three[1:], []change{add(key("k", 1))}, "*k/2 k/3 k/1", nil, ""},
		{"AddOtherID", one, []change{add(key("other", 1))}, "*k/1 other/1", nil, ""},
		{"AddDuplicate", three, []change{add(key("k", 2))}, "", keyring.ErrDuplicate, `version 2 of key "k"`},
		{"AddEmptySecret", one, []change{add(keyring.Key{ID: "k", Version: 2})}, "", keyring.ErrEmptySecret, `version 2 of key "k"`},
		{"AddRemoved", three, []change{remove("k", 2), add(key("k", 2))}, "*k/1 k/3 k/2", nil, ""},

		{"Promote", three, []change{promote("k", 3)}, "k/1 k/2 *k/3", nil, ""},
		{"PromoteWhatSigns", three, []change{promote("k", 1)}, "*k/1 k/2 k/3", nil, ""},
		{"PromoteBack", three, []change{promote("k", 3), promote("k", 1)}, "*k/1 k/2 k/3", nil, ""},
		{"PromoteOtherID", twoIDs, []change{promote("b", 1)}, "a/1 *b/1 /1", nil, ""},
		{"PromoteEmptyID", twoIDs, []change{promote("", 1)}, "a/1 b/1 */1", nil, ""},
		{"PromoteUnknownVersion", three, []change{promote("k", 4)}, "", keyring.ErrNotFound, `version 4 of key "k"`},
		{"PromoteUnknownID", three, []change{promote("x", 1)}, "", keyring.ErrNotFound, `version 1 of key "x"`},
		{"PromoteEmptyIDIsNotAnyID", three, []change{promote("", 2)}, "", keyring.ErrNotFound, `version 2 of key ""`},
		{"PromoteVersionOfOtherID", []keyring.Key{key("a", 1), key("b", 2)}, []change{promote("a", 2)}, "", keyring.ErrNotFound, ""},

		{"Retire", three, []change{promote("k", 3), retire("k", 1, at(5))}, "k/1[,5) k/2 *k/3", nil, ""},
		{"RetireInThePast", three, []change{retire("k", 2, at(-5))}, "*k/1 k/2[,-5) k/3", nil, ""},
		{"RetireEarlier", ended, []change{retire("k", 2, at(1))}, "*k/1 k/2[-2,1)", nil, ""},
		{"RetireAtItsEnd", ended, []change{retire("k", 2, at(2))}, "*k/1 k/2[-2,2)", nil, ""},
		{"RetireLaterDoesNotExtend", ended, []change{retire("k", 2, at(9))}, "*k/1 k/2[-2,2)", nil, ""},
		{"RetireTwice", three, []change{retire("k", 2, at(5)), retire("k", 2, at(9))}, "*k/1 k/2[,5) k/3", nil, ""},
		{"RetireWhatSigns", three, []change{retire("k", 1, at(1))}, "", keyring.ErrSigns, `version 1 of key "k"`},
		{"RetireWhatSignsNow", three, []change{promote("k", 3), retire("k", 3, at(1))}, "", keyring.ErrSigns, ""},
		{"RetireUnknown", three, []change{retire("k", 9, at(1))}, "", keyring.ErrNotFound, `version 9 of key "k"`},
		{"RetireEmptyIDIsNotAnyID", three, []change{retire("", 2, at(1))}, "", keyring.ErrNotFound, ""},
		{"RetireAtNoTime", three, []change{retire("k", 2, time.Time{})}, "", keyring.ErrNoTime, `version 2 of key "k"`},

		{"Remove", three, []change{remove("k", 2)}, "*k/1 k/3", nil, ""},
		{"RemoveBeforeWhatSigns", three, []change{promote("k", 3), remove("k", 1)}, "k/2 *k/3", nil, ""},
		{"RemoveBehindWhatSigns", three, []change{promote("k", 2), remove("k", 3)}, "k/1 *k/2", nil, ""},
		{"RemoveAllOthers", three, []change{promote("k", 2), remove("k", 1), remove("k", 3)}, "*k/2", nil, ""},
		{"RemoveWhatSigns", three, []change{remove("k", 1)}, "", keyring.ErrSigns, `version 1 of key "k"`},
		{"RemoveLast", one, []change{remove("k", 1)}, "", keyring.ErrSigns, ""},
		{"RemoveUnknown", three, []change{remove("k", 0)}, "", keyring.ErrNotFound, `version 0 of key "k"`},
		{"RemoveTwice", three, []change{remove("k", 2), remove("k", 2)}, "", keyring.ErrNotFound, ""},
		{"RemoveEmptyIDIsNotAnyID", three, []change{remove("", 2)}, "", keyring.ErrNotFound, ""},

		{"Rotation", one, []change{add(key("k", 2)), promote("k", 2), retire("k", 1, at(24)), remove("k", 1)}, "*k/2", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRing(t, tt.from...)
			for i, change := range tt.changes {
				before := show(r)
				next, err := change(r)
				if got := show(r); got != before {
					t.Fatalf("change %d turned the old ring from %s to %s", i, before, got)
				}
				if i < len(tt.changes)-1 {
					if err != nil {
						t.Fatalf("change %d: %v", i, err)
					}
					r = next
					continue
				}
				checkChange(t, next, err, tt.want, tt.err, tt.text)
			}
		})
	}
}

func checkChange(t *testing.T, r *keyring.Ring, err error, want string, wantErr error, text string) {
	t.Helper()
	if !errors.Is(err, wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err != nil {
		if r != nil {
			t.Errorf("got ring %s beside an error", show(r))
		}
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not contain %q", err, text)
		}
		return
	}
	if got := show(r); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNoKeys: a nil ring and the zero value have no keys and verify nothing.
func TestNoKeys(t *testing.T) {
	for name, r := range map[string]*keyring.Ring{"Nil": nil, "Zero": {}} {
		t.Run(name, func(t *testing.T) {
			if r.Len() != 0 || len(r.Keys()) != 0 {
				t.Errorf("Len = %d, Keys = %v", r.Len(), r.Keys())
			}
			if k, err := r.Signing(t0); !errors.Is(err, keyring.ErrNoKeys) || k != nil {
				t.Errorf("Signing = %v, %v, want %v", k, err, keyring.ErrNoKeys)
			}
			if got := r.AppendCandidates(nil, "", t0); got != nil {
				t.Errorf("AppendCandidates = %v", names(got))
			}
			if _, err := r.Version(0); !errors.Is(err, keyring.ErrNotFound) {
				t.Errorf("Version: %v", err)
			}
			if _, err := r.Promote("", 0); !errors.Is(err, keyring.ErrNotFound) {
				t.Errorf("Promote: %v", err)
			}
			if _, err := r.Retire("", 0, t0); !errors.Is(err, keyring.ErrNotFound) {
				t.Errorf("Retire: %v", err)
			}
			if _, err := r.Remove("", 0); !errors.Is(err, keyring.ErrNotFound) {
				t.Errorf("Remove: %v", err)
			}
			next, err := r.Add(key("k", 1))
			if err != nil || show(next) != "*k/1" {
				t.Errorf("Add = %v, %v: the first key signs", next, err)
			}
		})
	}
}

// TestValidAt holds the edges of the window: the begin belongs to it, the end
// does not.
func TestValidAt(t *testing.T) {
	var none time.Time
	far := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name      string
		notBefore time.Time
		notAfter  time.Time
		at        time.Time
		want      bool
	}{
		{"NoLimits", none, none, t0, true},
		{"NoLimitsZeroTime", none, none, none, true},
		{"NoLimitsFarFuture", none, none, far, true},
		{"JustBeforeBegin", t0, none, t0.Add(-tick), false},
		{"AtBegin", t0, none, t0, true},
		{"JustAfterBegin", t0, none, t0.Add(tick), true},
		{"LongAfterBegin", t0, none, far, true},
		{"ZeroTimeBeforeBegin", t0, none, none, false},
		{"JustBeforeEnd", none, t0, t0.Add(-tick), true},
		{"AtEnd", none, t0, t0, false},
		{"JustAfterEnd", none, t0, t0.Add(tick), false},
		{"ZeroTimeBeforeEnd", none, t0, none, true},
		{"Within", at(-1), at(1), t0, true},
		{"BothAtBegin", t0, at(1), t0, true},
		{"BothAtEnd", at(-1), t0, t0, false},
		{"NoLength", t0, t0, t0, false},
		{"EndsBeforeItBegins", at(1), at(-1), t0, false},
		{"OtherZone", t0.In(time.FixedZone("", 3600)), none, t0, true},
		{"OtherZoneAtEnd", none, t0.In(time.FixedZone("", -7200)), t0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := window(key("k", 1), tt.notBefore, tt.notAfter)
			if got := k.ValidAt(tt.at); got != tt.want {
				t.Errorf("ValidAt = %v, want %v", got, tt.want)
			}
			r := mustRing(t, key("other", 1), k)
			if got := len(r.AppendCandidates(nil, "k", tt.at)) == 1; got != tt.want {
				t.Errorf("is a candidate: %v, want %v", got, tt.want)
			}
			r = mustRing(t, k)
			signs, err := r.Signing(tt.at)
			if got := err == nil; got != tt.want {
				t.Errorf("signs: %v (%v), want %v", got, err, tt.want)
			}
			if err != nil && (!errors.Is(err, keyring.ErrNotFound) || signs != nil) {
				t.Errorf("Signing = %v, %v, want %v", signs, err, keyring.ErrNotFound)
			}
		})
	}
}

func TestSigningErrorNamesTheTime(t *testing.T) {
	r := mustRing(t, window(key("k", 7), at(1), time.Time{}))
	_, err := r.Signing(t0.In(time.FixedZone("", 3600)))
	if err == nil || !strings.Contains(err.Error(), `version 7 of key "k" signs but is not valid at 2026-01-02T03:04:05Z`) {
		t.Errorf("error %v", err)
	}
}

func TestAppendCandidates(t *testing.T) {
	var many, old []keyring.Key
	for v := 1; v <= 12; v++ {
		many = append(many, key("k", v))
		old = append(old, window(key("k", v), time.Time{}, at(v-6))) // 1 to 6 have ended at t0
	}
	mixed := []keyring.Key{
		key("a", 1), key("b", 1), key("a", 2), window(key("a", 3), at(1), time.Time{}), window(key("b", 2), time.Time{}, t0), key("a", 4),
	}
	tests := []struct {
		name    string
		keys    []keyring.Key
		promote keyring.Key // zero: the first signs
		id      string
		want    string
	}{
		{"OneKey", many[:1], keyring.Key{}, "k", "k/1"},
		{"NewestFirstBehindWhatSigns", many[:4], keyring.Key{}, "k", "k/1 k/4 k/3 k/2"},
		{"WhatSignsFirst", many[:4], many[2], "k", "k/3 k/4 k/2 k/1"},
		{"WhatSignsIsNewest", many[:4], many[3], "k", "k/4 k/3 k/2 k/1"},
		{"AnyID", mixed, keyring.Key{}, "", "a/1 a/4 a/2 b/1"},
		{"OneID", mixed, keyring.Key{}, "a", "a/1 a/4 a/2"},
		{"WhatSignsHasOtherID", mixed, keyring.Key{}, "b", "b/1"},
		{"UnknownID", mixed, keyring.Key{}, "c", ""},
		{"IDInOtherCase", mixed, keyring.Key{}, "A", ""},
		{"PrefixOfID", []keyring.Key{key("key-1", 1)}, keyring.Key{}, "key", ""},
		{"ExactlyTheCap", many[:8], keyring.Key{}, "k", "k/1 k/8 k/7 k/6 k/5 k/4 k/3 k/2"},
		{"OneAboveTheCap", many[:9], keyring.Key{}, "k", "k/1 k/9 k/8 k/7 k/6 k/5 k/4 k/3"},
		{"FarAboveTheCap", many, keyring.Key{}, "", "k/1 k/12 k/11 k/10 k/9 k/8 k/7 k/6"},
		{"EndedKeysTakeNoRoom", old, many[11], "k", "k/12 k/11 k/10 k/9 k/8 k/7"},
		{"WhatSignsHasEnded", old, keyring.Key{}, "k", "k/12 k/11 k/10 k/9 k/8 k/7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRing(t, tt.keys...)
			if tt.promote.Version != 0 {
				next, err := r.Promote(tt.promote.ID, tt.promote.Version)
				if err != nil {
					t.Fatal(err)
				}
				r = next
			}
			got := r.AppendCandidates(nil, tt.id, t0)
			if names(got) != tt.want {
				t.Errorf("AppendCandidates = %s, want %s", names(got), tt.want)
			}
			if len(got) > keyring.MaxCandidates {
				t.Errorf("got %d candidates, want at most %d", len(got), keyring.MaxCandidates)
			}
			own := key("own", 1)
			if got := r.AppendCandidates([]*keyring.Key{&own}, tt.id, t0); strings.TrimSpace("own/1 "+tt.want) != names(got) {
				t.Errorf("with a key in dst: %s", names(got))
			}
		})
	}
}

// TestOverlap walks through a rotation and asks, at each instant, who verifies
// and who signs.
func TestOverlap(t *testing.T) {
	r := mustRing(t, key("k", 1))
	r, err := r.Add(window(key("k", 2), at(1), time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	check := func(when time.Time, signs, verify string) {
		t.Helper()
		k, err := r.Signing(when)
		if err != nil || name(*k) != signs {
			t.Errorf("at %s h: Signing = %v, %v, want %s", hours(when), k, err, signs)
		}
		if got := names(r.AppendCandidates(nil, "k", when)); got != verify {
			t.Errorf("at %s h: candidates %s, want %s", hours(when), got, verify)
		}
	}
	check(t0, "k/1", "k/1")
	check(at(1), "k/1", "k/1 k/2")
	if r, err = r.Promote("k", 2); err != nil {
		t.Fatal(err)
	}
	check(at(2), "k/2", "k/2 k/1")
	if r, err = r.Retire("k", 1, at(3)); err != nil {
		t.Fatal(err)
	}
	check(at(3).Add(-tick), "k/2", "k/2 k/1")
	check(at(3), "k/2", "k/2")
}

func TestVersion(t *testing.T) {
	r := mustRing(t, key("k", 1), window(key("k", 2), time.Time{}, at(-9)), key("", 3))
	for v := 1; v <= 3; v++ {
		if k, err := r.Version(v); err != nil || k.Version != v {
			t.Errorf("Version(%d) = %v, %v", v, k, err)
		}
	}
	for _, v := range []int{0, 4, -1} {
		if k, err := r.Version(v); !errors.Is(err, keyring.ErrNotFound) || k != nil {
			t.Errorf("Version(%d) = %v, %v, want %v", v, k, err, keyring.ErrNotFound)
		}
	}
	twice := mustRing(t, key("a", 1), key("b", 1))
	if k, err := twice.Version(1); err != nil || k.ID != "a" {
		t.Errorf("Version = %v, %v, want the first that was added", k, err)
	}
}

// TestImmutable lets callers write into everything that a ring hands out by
// value or takes.
func TestImmutable(t *testing.T) {
	in := []keyring.Key{key("k", 1), key("k", 2), key("k", 3)}
	r := mustRing(t, in...)
	const want = "*k/1 k/2 k/3"
	in[0] = key("x", 9)
	out := r.Keys()
	out[1].NotAfter, out[2].ID = at(-1), "x"
	if got := show(r); got != want {
		t.Errorf("ring is %s, want %s", got, want)
	}
	// Two rings from one must not write into the same array.
	left, err := r.Add(key("left", 1))
	if err != nil {
		t.Fatal(err)
	}
	right, err := r.Add(key("right", 1))
	if err != nil {
		t.Fatal(err)
	}
	promoted, err := right.Promote("right", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := promoted.Remove("k", 1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		r    *keyring.Ring
		want string
	}{
		{r, want}, {left, want + " left/1"}, {right, want + " right/1"}, {promoted, "k/1 k/2 k/3 *right/1"},
	} {
		if got := show(tt.r); got != tt.want {
			t.Errorf("ring is %s, want %s", got, tt.want)
		}
	}
}

// TestSwap is for the race detector: readers use a ring that a writer replaces.
func TestSwap(t *testing.T) {
	var ring atomic.Pointer[keyring.Ring]
	ring.Store(mustRing(t, key("k", 1)))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var space [keyring.MaxCandidates]*keyring.Key
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := ring.Load()
				k, err := r.Signing(t0)
				if err != nil || r.AppendCandidates(space[:0], "k", t0)[0] != k {
					t.Errorf("Signing = %v, %v: not the first candidate", k, err)
					return
				}
			}
		})
	}
	for v := 2; v <= 200; v++ {
		for _, change := range []func(*keyring.Ring) (*keyring.Ring, error){
			func(r *keyring.Ring) (*keyring.Ring, error) { return r.Add(key("k", v)) },
			func(r *keyring.Ring) (*keyring.Ring, error) { return r.Promote("k", v) },
			func(r *keyring.Ring) (*keyring.Ring, error) { return r.Retire("k", v-1, at(1)) },
			func(r *keyring.Ring) (*keyring.Ring, error) { return r.Remove("k", v-1) },
		} {
			next, err := change(ring.Load())
			if err != nil {
				t.Error(err)
			} else {
				ring.Store(next)
			}
		}
	}
	close(stop)
	readers.Wait()
}

func TestErrorsHoldNoSecret(t *testing.T) {
	k := keyring.Key{ID: "k", Version: 1, Secret: secret.FromString("squeamish")}
	r := mustRing(t, k)
	_, duplicate := r.Add(k)
	_, signs := r.Remove("k", 1)
	for _, text := range []string{fmt.Sprint(duplicate), fmt.Sprint(signs), fmt.Sprintf("%+v %#v", *r, r.Keys())} {
		if strings.Contains(text, "squeamish") || strings.Contains(text, "115 113 117") {
			t.Errorf("secret in %q", text)
		}
	}
}

func ExampleRing() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ring := keyring.Must(keyring.Key{ID: "k", Version: 1, Secret: secret.Random(32)})
	steps := []func() (*keyring.Ring, error){
		// The new version verifies. When every verifier has it, it signs.
		func() (*keyring.Ring, error) {
			return ring.Add(keyring.Key{ID: "k", Version: 2, Secret: secret.Random(32)})
		},
		func() (*keyring.Ring, error) { return ring.Promote("k", 2) },
		func() (*keyring.Ring, error) { return ring.Retire("k", 1, now.Add(24*time.Hour)) },
	}
	for _, step := range steps {
		next, err := step()
		if err != nil {
			fmt.Println(err)
			return
		}
		ring = next
	}
	k, err := ring.Signing(now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("version", k.Version, "signs,", len(ring.AppendCandidates(nil, "k", now)), "verify")
	// Output: version 2 signs, 2 verify
}
