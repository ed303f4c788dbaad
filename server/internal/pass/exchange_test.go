package pass_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/pass"
)

// shop is an exchange whose issuer says what proof is.
type shop struct {
	*pass.Exchange
	*house
	proof  pass.Proof
	verify error
	once   error
	used   int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{house: newHouse(t)}
	s.proof = pass.Proof{Issuer: "github", Caller: "ci", Tenant: "default", TokenID: "jti:1", Claims: map[string]string{"ref": "main"}, Until: start.Add(time.Hour)}
	s.Exchange = &pass.Exchange{
		Passes: s.Service,
		Verify: func(context.Context, string) (pass.Proof, error) { return s.proof, s.verify },
		Once: func(_ context.Context, now time.Time, p pass.Proof) error {
			if !now.Equal(s.now) || p.TokenID != "jti:1" {
				t.Errorf("got %v, %+v", now, p)
			}
			s.used++
			return s.once
		},
	}
	return s
}

func TestExchange(t *testing.T) {
	for _, tt := range []struct {
		name string
		life time.Duration
		left time.Duration // of the token of the issuer
		want time.Duration
	}{
		{"Default", 0, time.Hour, 10 * time.Minute},
		{"Shorter", 5 * time.Minute, time.Hour, 5 * time.Minute},
		{"EndsWithTheToken", 0, 4 * time.Minute, 4 * time.Minute},
		{"LastSecond", 0, time.Second, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.proof.Life, s.proof.Until = tt.life, start.Add(tt.left)
			text, p, err := s.Token(t.Context(), "token")
			if err != nil || !p.Until.Equal(start.Add(tt.want)) || s.used != 1 {
				t.Fatalf("got %+v, %v and %d uses", p, err, s.used)
			}
			c, p, err := s.Authenticate(pass.Token, string(text.Expose()))
			if err != nil || c.ID != "ci" || p.Claims["ref"] != "main" || p.Issuer != "github" {
				t.Errorf("got %+v, %+v, %v", c, p, err)
			}
		})
	}
}

// Two nodes that share what was used give one pass for a token, of any number of
// exchanges at the same time.
func TestA13_ExchangeOnTwoNodes(t *testing.T) {
	guard, err := replay.New(replay.Options{Past: time.Hour, Future: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var nodes [2]*shop
	for i := range nodes {
		s := newShop(t)
		s.proof.IssuedAt = start
		s.Once = func(_ context.Context, now time.Time, p pass.Proof) error {
			if guard.Claim(now, p.IssuedAt, 1, 1) == replay.Fresh {
				return nil
			}
			return fault.New(fault.Conflict, "used")
		}
		nodes[i] = s
	}
	var given, refused atomic.Int64
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			switch _, _, err := nodes[i%2].Token(context.Background(), "token"); {
			case err == nil:
				given.Add(1)
			case errors.Is(err, fault.Conflict):
				refused.Add(1)
			}
		})
	}
	group.Wait()
	if given.Load() != 1 || refused.Load() != 49 {
		t.Errorf("got %d passes and %d refusals, want 1 and 49", given.Load(), refused.Load())
	}
}

// Whatever stops an exchange, there is no pass, and a token is used up only
// where everything else is right.
func TestExchangeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*shop)
		kind fault.Kind
		used int
	}{
		{"NotVerified", func(s *shop) { s.verify = fault.New(fault.Denied, "no") }, fault.Denied, 0},
		{"IssuerAway", func(s *shop) { s.verify = fault.New(fault.Unavailable, "no") }, fault.Unavailable, 0},
		{"CallerDisabled", func(s *shop) { s.caller = fault.New(fault.Denied, "disabled") }, fault.Denied, 0},
		{"CallerNotKnownHere", func(s *shop) { s.caller = fault.New(fault.Unavailable, "cut off") }, fault.Unavailable, 0},
		{"EndsNow", func(s *shop) { s.proof.Until = start }, fault.Denied, 0},
		{"EndsInASecond", func(s *shop) { s.proof.Until = start.Add(time.Second - 1) }, fault.Denied, 0},
		{"UsedBefore", func(s *shop) { s.once = fault.New(fault.Conflict, "used") }, fault.Conflict, 1},
		{"NotKnownWhetherUsed", func(s *shop) { s.once = fault.New(fault.Unavailable, "full") }, fault.Unavailable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			tt.edit(s)
			text, _, err := s.Token(t.Context(), "token")
			if !errors.Is(err, tt.kind) || !text.IsZero() || s.used != tt.used {
				t.Errorf("got %v and %d uses, want kind %v and %d", err, s.used, tt.kind, tt.used)
			}
		})
	}
}
