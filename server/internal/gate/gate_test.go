package gate_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var now = time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)

// recorder is what remembers claims; it answers out, or err.
type recorder struct {
	out    replay.Outcome
	err    error
	claims []gate.Claim
}

func (r *recorder) Claim(_ context.Context, _ time.Time, c gate.Claim) (replay.Outcome, error) {
	r.claims = append(r.claims, c)
	return r.out, r.err
}

func newGate(t *testing.T, c gate.Claims) *gate.Gate {
	t.Helper()
	key, err := replay.NewKey(secret.FromString(strings.Repeat("k", replay.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return &gate.Gate{Key: key, Claims: c, Nonces: memory.New()}
}

func rule() gate.Rule { return gate.Rule{Profile: "p", Past: 5 * time.Minute, Keep: time.Hour} }

func message() gate.Message {
	return gate.Message{Tenant: "t", KeyID: "k", Nonce: "n", Tag: []byte("tag"), At: now.Add(-time.Second)}
}

// Every outcome has one answer, and only one of them lets the message through.
func TestOutcomes(t *testing.T) {
	lost := errors.New("lost")
	for _, tt := range []struct {
		name   string
		out    replay.Outcome
		err    error
		reason string
		kind   fault.Kind
		retry  bool
	}{
		{"Fresh", replay.Fresh, nil, "", 0, false},
		{"Replayed", replay.Replayed, nil, "replayed", fault.Conflict, false},
		{"Full", replay.Full, nil, "full", fault.Unavailable, true},
		{"FullShare", replay.FullShare, nil, "full-share", fault.Unavailable, true},
		{"Barred", replay.Barred, nil, "barred", fault.Unavailable, true},
		{"Outside", replay.Outside, nil, "outside", fault.Denied, false},
		{"Zero", 0, nil, "replay.Outcome(0)", fault.Internal, false},
		{"Unknown", 99, nil, "replay.Outcome(99)", fault.Internal, false},
		{"Error", 0, lost, "unavailable", fault.Unavailable, true},
		{"ErrorAndFresh", replay.Fresh, lost, "unavailable", fault.Unavailable, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := newGate(t, &recorder{out: tt.out, err: tt.err}).Check(t.Context(), now, rule(), message())
			checkRefusal(t, err, tt.reason, tt.kind, tt.retry)
			if tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("got %v, want the cause in it", err)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, reason string, kind fault.Kind, retry bool) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("got %v, want nil", err)
		}
		return
	}
	var r *gate.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if r.Reason != reason || fault.KindOf(err) != kind || (r.RetryAfter > 0) != retry {
		t.Errorf("got %q of kind %v, retry after %v, want %q of kind %v", r.Reason, fault.KindOf(err), r.RetryAfter, reason, kind)
	}
}

// TestA25_Claim: what a claim is made of. Everything that tells two uses apart changes the ID,
// and nothing else does.
func TestA25_Claim(t *testing.T) {
	claim := func(edit func(*gate.Rule, *gate.Message)) gate.Claim {
		t.Helper()
		r := &recorder{out: replay.Fresh}
		ru, m := rule(), message()
		edit(&ru, &m)
		if err := newGate(t, r).Check(t.Context(), now, ru, m); err != nil || len(r.claims) != 1 {
			t.Fatalf("Check: got %v with %d claims", err, len(r.claims))
		}
		return r.claims[0]
	}
	base := claim(func(*gate.Rule, *gate.Message) {})
	if !base.At.Equal(now.Add(-time.Second)) || !base.Until.Equal(now.Add(-time.Second+5*time.Minute)) {
		t.Errorf("signed message: got %v until %v", base.At, base.Until)
	}
	ids := map[replay.ID]string{base.ID: "base"}
	for name, edit := range map[string]func(*gate.Rule, *gate.Message){
		"Tenant":    func(_ *gate.Rule, m *gate.Message) { m.Tenant = "u" },
		"Profile":   func(r *gate.Rule, _ *gate.Message) { r.Profile = "q" },
		"KeyID":     func(_ *gate.Rule, m *gate.Message) { m.KeyID = "l" },
		"Nonce":     func(_ *gate.Rule, m *gate.Message) { m.Nonce = "o" },
		"Tag":       func(_ *gate.Rule, m *gate.Message) { m.Nonce = "" },
		"OtherTag":  func(_ *gate.Rule, m *gate.Message) { m.Nonce, m.Tag = "", []byte("n") },
		"Border":    func(r *gate.Rule, m *gate.Message) { r.Profile, m.KeyID = "pk", "" },
		"NoncedTag": func(_ *gate.Rule, m *gate.Message) { m.Nonce = "tag" },
	} {
		c := claim(edit)
		if other, ok := ids[c.ID]; ok {
			t.Errorf("%s has the ID of %s", name, other)
		}
		ids[c.ID] = name
		if sameOwner := name != "Tenant" && name != "KeyID" && name != "Border"; (c.Owner == base.Owner) != sameOwner {
			t.Errorf("%s: same owner: got %v, want %v", name, c.Owner == base.Owner, sameOwner)
		}
	}
	for name, edit := range map[string]func(*gate.Rule, *gate.Message){
		"TagBesideNonce": func(_ *gate.Rule, m *gate.Message) { m.Tag = []byte("other") },
		"Time":           func(_ *gate.Rule, m *gate.Message) { m.At = now },
	} {
		if c := claim(edit); c.ID != base.ID {
			t.Errorf("%s changes the ID", name)
		}
	}
	if c := claim(func(_ *gate.Rule, m *gate.Message) { m.At, m.Expires = time.Time{}, now.Add(time.Minute) }); !c.At.IsZero() || !c.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("message with an end: got %v until %v", c.At, c.Until)
	}
	if c := claim(func(_ *gate.Rule, m *gate.Message) { m.At = time.Time{} }); !c.At.IsZero() || !c.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("message without a time: got %v until %v", c.At, c.Until)
	}
}

// TestA11_Absent: what cannot be known again is refused, and nothing is claimed.
func TestA11_Absent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*gate.Rule, *gate.Message)
		reason string
	}{
		{"NoNonceNoTag", func(_ *gate.Rule, m *gate.Message) { m.Nonce, m.Tag = "", nil }, "nonce-missing"},
		{"NoProfile", func(r *gate.Rule, _ *gate.Message) { r.Profile = "" }, "nonce-missing"},
		{"NoTimeNotKept", func(r *gate.Rule, m *gate.Message) { r.Keep, m.At = 0, time.Time{} }, "outside"},
		{"IncreasingWithout", func(r *gate.Rule, m *gate.Message) { r.Increasing, m.Nonce = true, "" }, "nonce-missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{out: replay.Fresh}
			ru, m := rule(), message()
			tt.edit(&ru, &m)
			err := newGate(t, r).Check(t.Context(), now, ru, m)
			checkRefusal(t, err, tt.reason, fault.Denied, false)
			if len(r.claims) != 0 {
				t.Errorf("claimed %v", r.claims)
			}
		})
	}
}

func TestIncreasing(t *testing.T) {
	g := newGate(t, &recorder{}) // a claim would be refused
	r := rule()
	r.Increasing = true
	for _, tt := range []struct {
		tenant, key, nonce string
		reason             string
		kind               fault.Kind
	}{
		{"t", "k", "10", "", 0},
		{"t", "k", "10", "not-increasing", fault.Conflict},
		{"t", "k", "010", "not-increasing", fault.Conflict},
		{"t", "k", "9", "not-increasing", fault.Conflict},
		{"t", "k", "11", "", 0},
		{"t", "l", "1", "", 0},
		{"u", "k", "1", "", 0},
		{"t", "k", "9223372036854775807", "", 0},
		{"t", "k", "9223372036854775807", "not-increasing", fault.Conflict},
		{"t", "m", "9223372036854775808", "nonce-missing", fault.Denied},
		{"t", "m", "18446744073709551617", "nonce-missing", fault.Denied},
		{"t", "m", "+5", "nonce-missing", fault.Denied},
		{"t", "m", "-5", "nonce-missing", fault.Denied},
		{"t", "m", " 5", "nonce-missing", fault.Denied},
		{"t", "m", "5.0", "nonce-missing", fault.Denied},
		{"t", "m", "1e3", "nonce-missing", fault.Denied},
		{"t", "m", "0x5", "nonce-missing", fault.Denied},
		{"t", "m", "５", "nonce-missing", fault.Denied},
		{"t", "m", "0", "", 0},
		{"t", "m", "0", "not-increasing", fault.Conflict},
	} {
		m := message()
		m.Tenant, m.KeyID, m.Nonce = tt.tenant, tt.key, tt.nonce
		t.Run(tt.tenant+tt.key+tt.nonce, func(t *testing.T) {
			checkRefusal(t, g.Check(t.Context(), now, r, m), tt.reason, tt.kind, false)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := message()
	m.Nonce = "1000"
	checkRefusal(t, g.Check(ctx, now, r, m), "unavailable", fault.Unavailable, true)
	g.Nonces = nil
	checkRefusal(t, g.Check(t.Context(), now, r, m), "nonce-missing", fault.Denied, false)
}

// TestA13_Parallel uses each nonce 100 times at the same time.
func TestA13_Parallel(t *testing.T) {
	guard, err := replay.New(replay.Options{Past: 5 * time.Minute, Future: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, increasing := range []bool{false, true} {
		g := newGate(t, inMemory{guard})
		r := rule()
		r.Increasing = increasing
		for _, nonce := range []string{"1", "2", "3"} {
			var passed atomic.Int64
			var group sync.WaitGroup
			for range 100 {
				group.Go(func() {
					m := message()
					m.Nonce = nonce
					if err := g.Check(t.Context(), now, r, m); err == nil {
						passed.Add(1)
					} else if fault.KindOf(err) != fault.Conflict {
						t.Errorf("Check: %v", err)
					}
				})
			}
			group.Wait()
			if passed.Load() != 1 {
				t.Errorf("increasing %v: nonce %s passed %d times, want 1", increasing, nonce, passed.Load())
			}
		}
	}
}

// inMemory remembers until the process ends.
type inMemory struct{ guard *replay.Guard }

func (m inMemory) Claim(_ context.Context, now time.Time, c gate.Claim) (replay.Outcome, error) {
	return m.guard.Claim(now, c.At, c.ID.Short(), c.Owner), nil
}

// lossy breaks the first Raise: it is stored or not, and the answer is lost.
type lossy struct {
	gate.Nonces
	stored bool
	broken bool
}

func (l *lossy) Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error) {
	if l.broken {
		return l.Nonces.Raise(ctx, tenant, keyID, profile, value)
	}
	l.broken = true
	if l.stored {
		_, _ = l.Nonces.Raise(ctx, tenant, keyID, profile, value)
	}
	return false, errors.New("lost")
}

// A lost answer refuses the message; the same one passes later only if it was
// not stored, and once.
func TestNoncesBroken(t *testing.T) {
	for _, stored := range []bool{false, true} {
		g := newGate(t, &recorder{})
		g.Nonces = &lossy{Nonces: memory.New(), stored: stored}
		r, m, passed := rule(), message(), 0
		r.Increasing, m.Nonce = true, "5"
		checkRefusal(t, g.Check(t.Context(), now, r, m), "unavailable", fault.Unavailable, true)
		for range 3 {
			if err := g.Check(t.Context(), now, r, m); err == nil {
				passed++
			} else {
				checkRefusal(t, err, "not-increasing", fault.Conflict, false)
			}
		}
		if want := map[bool]int{false: 1, true: 0}[stored]; passed != want {
			t.Errorf("stored %v: passed %d times, want %d", stored, passed, want)
		}
	}
}
