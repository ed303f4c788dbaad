package sealhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/sealhttp"
)

// once is a middleware in front of a handler that counts.
type once struct {
	http.Handler
	passed  atomic.Int64
	refused refusals
}

func newOnce(t *testing.T, id string, claims sealhttp.Claims) *once {
	t.Helper()
	o := &once{}
	m := &sealhttp.Middleware{
		Verifier: &sealwright.Verifier{Scheme: preset(t, id, nil), Ring: testRing()}, Now: clock, OnRefusal: o.refused.add, Claims: claims,
	}
	o.Handler = m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { o.passed.Add(1) }))
	return o
}

// send sends a signed POST of body with these headers.
func (o *once) send(header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://a.example/x?y=1", strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w
}

func memoryOf(t *testing.T, o replay.Options) *sealhttp.Memory {
	t.Helper()
	m, err := sealhttp.NewMemory(o, now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestA12_NonceBeforeMAC: a stranger cannot use up what others will send.
func TestA12_NonceBeforeMAC(t *testing.T) {
	for id, o := range map[string]replay.Options{
		"rfc9421": {Past: 5 * time.Minute, Future: 5 * time.Minute},
		"github":  {Keep: time.Hour},
	} {
		t.Run(id, func(t *testing.T) {
			h := newOnce(t, id, memoryOf(t, o))
			genuine := signedHeader(t, preset(t, id, nil), `{"id":7}`)
			for range 3 {
				if w := h.send(genuine, `{"id":8}`); w.Code != http.StatusUnauthorized {
					t.Errorf("wrong tag: got status %d, want 401", w.Code)
				}
			}
			if w := h.send(genuine, `{"id":7}`); w.Code != http.StatusOK {
				t.Errorf("genuine message: got status %d, %v", w.Code, h.refused.last())
			}
			w := h.send(genuine, `{"id":7}`)
			if w.Code != http.StatusConflict || !errors.Is(h.refused.last(), sealhttp.ErrReplayed) || w.Body.String() != `{"title":"Conflict","status":409}`+"\n" {
				t.Errorf("again: got status %d, %s, %v", w.Code, w.Body, h.refused.last())
			}
			if h.passed.Load() != 1 {
				t.Errorf("%d messages passed, want 1", h.passed.Load())
			}
		})
	}
}

// TestA13_Parallel sends 100 copies at the same time: one passes.
func TestA13_Parallel(t *testing.T) {
	s := preset(t, "rfc9421", nil)
	h := newOnce(t, "rfc9421", memoryOf(t, replay.Options{Past: 5 * time.Minute, Future: 5 * time.Minute}))
	header := signedHeader(t, s, "{}")
	var conflicts atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if h.send(header.Clone(), "{}").Code == http.StatusConflict {
				conflicts.Add(1)
			}
		})
	}
	group.Wait()
	if h.passed.Load() != 1 || conflicts.Load() != 99 {
		t.Errorf("%d passed and %d were conflicts, want 1 and 99", h.passed.Load(), conflicts.Load())
	}
}

// claimsFunc is Claims as a function.
type claimsFunc func(sealwright.Verdict) (replay.Outcome, error)

func (f claimsFunc) Claim(_ context.Context, _ time.Time, v sealwright.Verdict) (replay.Outcome, error) {
	return f(v)
}

// Only a fresh message passes, whatever else is answered.
func TestClaimsOutcomes(t *testing.T) {
	lost := errors.New("lost")
	for _, tt := range []struct {
		name   string
		out    replay.Outcome
		err    error
		status int
		want   error
	}{
		{"Fresh", replay.Fresh, nil, 200, nil},
		{"Replayed", replay.Replayed, nil, 409, sealhttp.ErrReplayed},
		{"Full", replay.Full, nil, 503, sealhttp.ErrNotRemembered},
		{"FullShare", replay.FullShare, nil, 503, sealhttp.ErrNotRemembered},
		{"Barred", replay.Barred, nil, 503, sealhttp.ErrNotRemembered},
		{"Outside", replay.Outside, nil, 401, sealwright.ErrStale},
		{"Zero", 0, nil, 503, sealhttp.ErrNotRemembered},
		{"Error", 0, lost, 503, lost},
		{"ErrorAndFresh", replay.Fresh, lost, 503, sealhttp.ErrNotRemembered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newOnce(t, "github", claimsFunc(func(v sealwright.Verdict) (replay.Outcome, error) {
				if !v.Valid || len(v.Tag.Bytes()) != 32 {
					t.Errorf("verdict: got valid %v, tag of %d bytes", v.Valid, len(v.Tag.Bytes()))
				}
				return tt.out, tt.err
			}))
			w := h.send(signedHeader(t, preset(t, "github", nil), "{}"), "{}")
			if w.Code != tt.status || !errors.Is(h.refused.last(), tt.want) || (h.passed.Load() == 1) != (tt.want == nil) {
				t.Errorf("got status %d, %v, %d passed, want %d", w.Code, h.refused.last(), h.passed.Load(), tt.status)
			}
			if (w.Header().Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("Retry-After: got %q", w.Header().Get("Retry-After"))
			}
		})
	}
}

// Messages of the other kind are refused, and after a start those that were
// signed before it.
func TestMemory(t *testing.T) {
	signed := replay.Options{Past: 5 * time.Minute, Future: 5 * time.Second}
	valid := sealwright.Verdict{Valid: true, Scheme: "s", KeyID: "k", Nonce: "n", At: now}
	for _, tt := range []struct {
		name  string
		o     replay.Options
		start time.Time
		edit  func(*sealwright.Verdict)
		want  replay.Outcome
	}{
		{"Signed", signed, now.Add(-time.Minute), func(*sealwright.Verdict) {}, replay.Fresh},
		{"NotValid", signed, now.Add(-time.Minute), func(v *sealwright.Verdict) { v.Valid = false }, replay.Outside},
		{"NoTime", signed, now.Add(-time.Minute), func(v *sealwright.Verdict) { v.At = time.Time{} }, replay.Outside},
		{"SignedBeforeTheStart", signed, now, func(v *sealwright.Verdict) {}, replay.Barred},
		{"SignedInTheSkewOfTheStart", signed, now.Add(-time.Second), func(v *sealwright.Verdict) { v.At = now.Add(4 * time.Second) }, replay.Barred},
		{"SignedAfterTheSkew", signed, now.Add(-time.Second), func(v *sealwright.Verdict) { v.At = now.Add(5 * time.Second) }, replay.Fresh},
		{"Kept", replay.Options{Keep: time.Hour}, now, func(v *sealwright.Verdict) { v.At = time.Time{} }, replay.Fresh},
		{"KeptButSigned", replay.Options{Keep: time.Hour}, now, func(*sealwright.Verdict) {}, replay.Outside},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := sealhttp.NewMemory(tt.o, tt.start)
			if err != nil {
				t.Fatal(err)
			}
			v := valid
			tt.edit(&v)
			if got, err := m.Claim(t.Context(), now, v); got != tt.want || err != nil {
				t.Errorf("Claim: got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if _, err := sealhttp.NewMemory(replay.Options{}, now); err == nil {
		t.Error("NewMemory without a window: got no error")
	}
	m := memoryOf(t, signed)
	for _, edit := range []func(*sealwright.Verdict){
		func(*sealwright.Verdict) {}, func(v *sealwright.Verdict) { v.Scheme = "other" }, func(v *sealwright.Verdict) { v.KeyID = "other" },
		func(v *sealwright.Verdict) { v.Nonce = "other" }, func(v *sealwright.Verdict) { v.Nonce = "" },
	} {
		v := valid
		edit(&v)
		for _, want := range []replay.Outcome{replay.Fresh, replay.Replayed} {
			if got, err := m.Claim(t.Context(), now, v); got != want || err != nil {
				t.Errorf("Claim of %+v: got %v, %v, want %v", v, got, err, want)
			}
		}
	}
}
