package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/idempotency"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// sealer writes the bits of the secret the other way round, and the name in
// front.
type sealer struct{}

func (sealer) Seal(_ context.Context, tenant, name string, plain secret.Bytes) ([]byte, error) {
	b := bytes.Clone(plain.Expose())
	for i := range b {
		b[i] = ^b[i]
	}
	return append([]byte(tenant+"|"+name+"|"), b...), nil
}

func (sealer) Open(_ context.Context, tenant, name string, sealed []byte) (secret.Bytes, error) {
	b, ok := bytes.CutPrefix(sealed, []byte(tenant+"|"+name+"|"))
	if !ok {
		return secret.Bytes{}, fault.New(fault.Internal, "does not decrypt")
	}
	b = bytes.Clone(b)
	for i := range b {
		b[i] = ^b[i]
	}
	return secret.New(b), nil
}

var errLost = errors.New("lost")

// broken is a store whose writes of answers break.
type broken struct {
	*memory.Store
	keep, apply bool // KeepAnswer returns an error, after it has stored
}

func (b *broken) KeepAnswer(ctx context.Context, a store.Answer) error {
	if !b.keep {
		return b.Store.KeepAnswer(ctx, a)
	}
	if b.apply {
		_ = b.Store.KeepAnswer(ctx, a)
	}
	return errLost
}

func request(key, digest string) idempotency.Request {
	return idempotency.Request{Tenant: "t", Caller: "c", Key: key, Digest: []byte(digest)}
}

func answer(status int, body string) idempotency.Answer {
	return idempotency.Answer{Status: status, Header: map[string]string{"Etag": `"1"`}, Body: secret.FromString(body)}
}

func change(name string) store.Change {
	return store.Change{
		Puts:    []store.Record{{Tenant: "t", Kind: "k", ID: name, Name: name, Format: 1, Doc: []byte("{}")}},
		Entries: []store.Entry{{At: time.Unix(1, 0), Caller: "c", Action: "a"}},
	}
}

// begin claims, and fails the test if there is an answer already.
func begin(t *testing.T, s *idempotency.Service, r idempotency.Request) *idempotency.Work {
	t.Helper()
	w, a, err := s.Begin(t.Context(), r)
	if w == nil || a != nil || err != nil {
		t.Fatalf("Begin: got %v, %v, want to work", a, err)
	}
	return w
}

func wantAnswer(t *testing.T, a *idempotency.Answer, err error, status int, body string) {
	t.Helper()
	if err != nil || a == nil || a.Status != status || string(a.Body.Expose()) != body || a.Header["Etag"] != `"1"` {
		t.Errorf("got answer %+v, %v, want %d %s", a, err, status, body)
	}
}

func TestRepeated(t *testing.T) {
	s := &idempotency.Service{Store: memory.New(), Sealer: sealer{}}
	w := begin(t, s, request("k", "d"))
	if err := w.End(t.Context(), answer(201, "made")); err != nil {
		t.Fatalf("End: %v", err)
	}
	_, a, err := s.Begin(t.Context(), request("k", "d"))
	wantAnswer(t, a, err, 201, "made")
	a, err = s.Keep(t.Context(), request("k", "d"), answer(200, "other"))
	wantAnswer(t, a, err, 201, "made")
	kept, err := s.Find(t.Context(), request("k", ""))
	if err != nil || kept == nil {
		t.Fatalf("Find: got %v, %v", kept, err)
	}
	a, err = kept.To([]byte("d"))
	wantAnswer(t, a, err, 201, "made")
	if a, err := kept.To([]byte("e")); a != nil || !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("To another request: got %v, %v, want ErrReused", a, err)
	}
	if w, a, err := s.Begin(t.Context(), request("k", "e")); w != nil || a != nil || !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("Begin of another request: got %v, want ErrReused", err)
	}
	if a, err := s.Keep(t.Context(), request("k", "e"), answer(200, "x")); a != nil || !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("Keep of another request: got %v, want ErrReused", err)
	}
	for _, other := range []idempotency.Request{{Tenant: "u", Caller: "c", Key: "k"}, {Tenant: "t", Caller: "d", Key: "k"}, {Tenant: "t", Caller: "c", Key: "l"}} {
		if kept, err := s.Find(t.Context(), other); kept != nil || err != nil {
			t.Errorf("Find of %+v: got %v, %v, want nothing", other, kept, err)
		}
	}
}

// What is stored cannot be read there, nor moved to another caller.
func TestSealed(t *testing.T) {
	db := memory.New()
	s := &idempotency.Service{Store: db, Sealer: sealer{}}
	w := begin(t, s, request("k", "d"))
	if err := w.End(t.Context(), answer(201, "a secret")); err != nil {
		t.Fatalf("End: %v", err)
	}
	a, err := db.Answer(t.Context(), "t", "c", "k")
	if err != nil || bytes.Contains(a.Sealed, []byte("secret")) || bytes.Contains(a.Sealed, []byte("YSBzZWNyZXQ")) {
		t.Errorf("stored is %q, %v", a.Sealed, err)
	}
	a.Caller = "thief"
	if _, err := db.ClaimAnswer(t.Context(), a, time.Now(), 10); err != nil {
		t.Fatal(err)
	}
	r := request("k", "d")
	r.Caller = "thief"
	if kept, err := s.Find(t.Context(), r); kept != nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("Find of a moved answer: got %v, %v", kept, err)
	}
	if text := fmt.Sprintf("%v %+v", answer(200, "hidden"), answer(200, "hidden")); strings.Contains(text, "hidden") {
		t.Errorf("the body is printed: %s", text)
	}
}

// What was refused has done nothing; what failed may have.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name    string
		commits bool
		status  int
		want    error // of the next request; nil means that it may work
	}{
		{"Refused", false, 422, nil},
		{"RefusedWithEntry", true, 403, nil}, // about the refusal
		{"FailedBefore", false, 503, nil},
		{"FailedAfter", true, 500, idempotency.ErrBusy}, // until the lease ends: see TestDied
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := memory.New()
			s := &idempotency.Service{Store: db, Sealer: sealer{}, Wait: time.Nanosecond}
			w := begin(t, s, request("k", "d"))
			if tt.commits {
				if _, err := db.Commit(w.Context(t.Context()), change("r")); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.End(t.Context(), answer(tt.status, "")); err != nil {
				t.Fatalf("End: %v", err)
			}
			w, a, err := s.Begin(t.Context(), request("k", "d"))
			if !errors.Is(err, tt.want) || a != nil || (w != nil) != (tt.want == nil) {
				t.Errorf("Begin: got %v, %v, %v, want %v", w, a, err, tt.want)
			}
		})
	}
}

// A node that died before it committed anything blocks the key until its lease
// ends; one that died afterwards leaves a key whose answer is lost. A node that
// was only slow commits nothing.
func TestDied(t *testing.T) {
	for _, commits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := memory.New()
			s := &idempotency.Service{Store: db, Sealer: sealer{}}
			dead := begin(t, s, request("k", "d"))
			if commits {
				if _, err := db.Commit(dead.Context(t.Context()), change("before")); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			if _, _, err := s.Begin(t.Context(), request("k", "d")); !errors.Is(err, idempotency.ErrBusy) || time.Since(began) > 11*time.Second {
				t.Errorf("Begin: got %v after %v, want ErrBusy", err, time.Since(began))
			}
			if _, _, err := s.Begin(t.Context(), request("k", "e")); !errors.Is(err, idempotency.ErrReused) {
				t.Errorf("Begin of another request: got %v, want ErrReused", err)
			}
			time.Sleep(2 * time.Minute)
			next, _, err := s.Begin(t.Context(), request("k", "d"))
			if commits {
				if !errors.Is(err, idempotency.ErrLost) {
					t.Errorf("Begin after the lease: got %v, want ErrLost", err)
				}
				if _, err := s.Find(t.Context(), request("k", "d")); !errors.Is(err, idempotency.ErrLost) {
					t.Errorf("Find after the lease: got %v, want ErrLost", err)
				}
				time.Sleep(24 * time.Hour)
				begin(t, s, request("k", "d"))
				return
			}
			if err != nil {
				t.Fatalf("Begin after the lease: %v", err)
			}
			if _, err := db.Commit(dead.Context(t.Context()), change("late")); !errors.Is(err, store.ErrTakenOver) {
				t.Errorf("Commit of a slow node: got %v, want ErrTakenOver", err)
			}
			if err := dead.End(t.Context(), answer(201, "late")); !errors.Is(err, store.ErrTakenOver) {
				t.Errorf("End of a slow node: got %v, want ErrTakenOver", err)
			}
			if err := dead.End(t.Context(), answer(503, "")); err != nil {
				t.Errorf("End of a slow node that failed: %v", err)
			}
			if _, err := db.Commit(next.Context(t.Context()), change("next")); err != nil {
				t.Errorf("Commit of the one that took over: %v", err)
			}
		})
	}
}

// Answers of which End says that they are not kept may be, or not: nothing is
// done twice.
func TestEndBroken(t *testing.T) {
	for _, apply := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := &broken{Store: memory.New(), keep: true, apply: apply}
			s := &idempotency.Service{Store: db, Sealer: sealer{}}
			w := begin(t, s, request("k", "d"))
			if _, err := db.Commit(w.Context(t.Context()), change("r")); err != nil {
				t.Fatal(err)
			}
			if err := w.End(t.Context(), answer(201, "made")); !errors.Is(err, errLost) {
				t.Errorf("End: got %v", err)
			}
			time.Sleep(3 * time.Minute)
			_, a, err := s.Begin(t.Context(), request("k", "d"))
			if apply {
				wantAnswer(t, a, err, 201, "made")
			} else if !errors.Is(err, idempotency.ErrLost) {
				t.Errorf("Begin: got %v, want ErrLost", err)
			}
		})
	}
}

// Requests at the same time get one answer, and one of them works.
func TestParallel(t *testing.T) {
	s := &idempotency.Service{Store: memory.New(), Sealer: sealer{}, Wait: time.Minute}
	var worked, signed atomic.Int64
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			w, a, err := s.Begin(t.Context(), request("make", "d"))
			if w != nil {
				worked.Add(1)
				time.Sleep(20 * time.Millisecond)
				err = w.End(t.Context(), answer(201, "made"))
				made := answer(201, "made")
				a = &made
			}
			wantAnswer(t, a, err, 201, "made")
		})
		group.Go(func() {
			mine := fmt.Sprint("tag ", i)
			a, err := s.Keep(t.Context(), request("sign", "d"), answer(200, mine))
			if err != nil {
				t.Errorf("Keep: %v", err)
			} else if string(a.Body.Expose()) == mine {
				signed.Add(1)
			}
		})
	}
	group.Wait()
	if worked.Load() != 1 || signed.Load() != 1 {
		t.Errorf("%d worked and %d got their own answer, want 1 and 1", worked.Load(), signed.Load())
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	s := &idempotency.Service{Store: memory.New(), Sealer: sealer{}}
	begin(t, s, request("k", "d"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := s.Begin(ctx, request("k", "d")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Begin: got %v, want unavailable", err)
	}
}

func TestBounds(t *testing.T) {
	now := time.Now()
	s := &idempotency.Service{Store: memory.New(), Sealer: sealer{}, Most: 2, Now: func() time.Time { return now }}
	for _, key := range []string{"a", "b"} {
		if _, err := s.Keep(t.Context(), request(key, "d"), answer(200, key)); err != nil {
			t.Fatalf("Keep: %v", err)
		}
	}
	if a, err := s.Keep(t.Context(), request("c", "d"), answer(200, "c")); !errors.Is(err, store.ErrTooManyAnswers) {
		t.Errorf("Keep of one more: got %v, %v", a, err)
	}
	if _, _, err := s.Begin(t.Context(), request("c", "d")); !errors.Is(err, store.ErrTooManyAnswers) {
		t.Errorf("Begin of one more: got %v", err)
	}
	now = now.Add(idempotency.KeepFor - time.Second)
	a, err := s.Keep(t.Context(), request("a", "d"), answer(200, "new"))
	wantAnswer(t, a, err, 200, "a")
	now = now.Add(time.Second)
	a, err = s.Keep(t.Context(), request("a", "d"), answer(200, "new"))
	wantAnswer(t, a, err, 200, "new")
	if _, err := s.Keep(t.Context(), request("large", "d"), answer(200, strings.Repeat("x", store.MaxAnswer))); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Keep of a large answer: got %v, want invalid", err)
	}
	if kept, err := s.Find(t.Context(), request("large", "d")); kept != nil || err != nil {
		t.Errorf("Find: got %v, %v, want nothing", kept, err)
	}
}
