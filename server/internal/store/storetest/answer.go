package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Answers is what a store promises that keeps answers to requests with an
// idempotency key. All methods may be called by many goroutines.
type Answers interface {
	// ClaimAnswer stores a and returns it, unless there is an answer of its
	// tenant, caller and key that is not free ([store.Answer.FreeAt]) at now:
	// then that one is returned and nothing is stored. Of any number of calls at
	// one time one stores. If the tenant has most answers already that are not
	// expired at now, not counting the one that a replaces, the error is
	// [store.ErrTooManyAnswers]; a store of several processes may exceed it by the
	// number of calls under way. What [store.Answer.Check] refuses is of kind
	// [fault.Invalid]. What was stored survives the end of the process, unless
	// the store is in memory. It may forget answers that are expired at now.
	ClaimAnswer(ctx context.Context, a store.Answer, now time.Time, most int) (store.Answer, error)

	// KeepAnswer stores request, state, end and answer of a in the place of what
	// a.Owner has claimed. If that belongs to another, or is gone, the error is
	// [store.ErrTakenOver].
	KeepAnswer(ctx context.Context, a store.Answer) error

	// ReleaseAnswer forgets what a.Owner has claimed if its state is at most
	// a.State. Otherwise, and if it is gone, it does nothing.
	ReleaseAnswer(ctx context.Context, a store.Answer) error

	// Answer returns what is stored, also if it is expired, or an error of kind
	// [fault.NotFound].
	Answer(ctx context.Context, tenant, caller, key string) (store.Answer, error)
}

// AnswerStore is a store that keeps answers and what they are about.
type AnswerStore interface {
	Answers
	Leases
	Store
}

// RunAnswers tests every sentence of [Answers], and what [store.WithClaim] says of
// writes, on new and empty stores.
func RunAnswers(t *testing.T, open func(*testing.T) AnswerStore) {
	for name, f := range map[string]func(*answerTest){
		"Claim": (*answerTest).claim, "TakeOver": (*answerTest).takeOver, "Keep": (*answerTest).keep, "Release": (*answerTest).release,
		"Most": (*answerTest).most, "Parallel": (*answerTest).parallel, "Refused": (*answerTest).refused, "Writes": (*answerTest).writes,
		"WritesTakenOver": (*answerTest).writesTakenOver, "WritesRefused": (*answerTest).writesRefused, "Closed": (*answerTest).closed,
	} {
		t.Run(name, func(t *testing.T) {
			f(&answerTest{t, open(t), time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)})
		})
	}
}

type answerTest struct {
	t  *testing.T
	s  AnswerStore
	at time.Time
}

// answer returns one that is pending for a minute and lives for an hour.
func (a *answerTest) answer(key, owner string) store.Answer {
	return store.Answer{
		Tenant: "t", Caller: "c", Key: key, Request: []byte{1, 0, 2}, Owner: owner, State: store.AnswerPending,
		LeaseEnd: a.at.Add(time.Minute), ExpiresAt: a.at.Add(time.Hour),
	}
}

func kept(x store.Answer, text string) store.Answer {
	x.State, x.Sealed = store.AnswerKept, []byte(text)
	return x
}

// wantClaim claims x at a time and checks what comes back.
func (a *answerTest) wantClaim(x store.Answer, at time.Time, want store.Answer) {
	a.t.Helper()
	got, err := a.s.ClaimAnswer(a.t.Context(), x, at, 100)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		a.t.Errorf("ClaimAnswer of %s by %s: %v (-want +got):\n%s", x.Key, x.Owner, err, diff)
	}
}

func (a *answerTest) want(want store.Answer) {
	a.t.Helper()
	got, err := a.s.Answer(a.t.Context(), want.Tenant, want.Caller, want.Key)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		a.t.Errorf("Answer %s: %v (-want +got):\n%s", want.Key, err, diff)
	}
}

func (a *answerTest) wantNone(key string) {
	a.t.Helper()
	_, err := a.s.Answer(a.t.Context(), "t", "c", key)
	wantKind(a.t, "Answer of "+key, err, fault.NotFound)
}

func (a *answerTest) claim() {
	a.wantNone("k")
	first := a.answer("k", "o1")
	a.wantClaim(first, a.at, first)
	a.want(first)
	a.wantClaim(a.answer("k", "o2"), a.at, first)
	a.want(first)
	for _, other := range [][3]string{{"u", "c", "k"}, {"t", "d", "k"}, {"t", "c", "K"}, {"tc", "c", "é"}, {"t", "cc", "é"}} {
		x := a.answer("k", "o3")
		x.Tenant, x.Caller, x.Key = other[0], other[1], other[2]
		a.wantClaim(x, a.at, x)
	}
	direct := kept(a.answer("direct", "o1"), "tag\x00")
	a.wantClaim(direct, a.at, direct)
	a.wantClaim(kept(a.answer("direct", "o2"), "another"), a.at, direct)
	a.want(direct)
}

func (a *answerTest) takeOver() {
	first := a.answer("k", "o1")
	a.wantClaim(first, a.at, first)
	second := a.answer("k", "o2")
	second.LeaseEnd = a.at.Add(2 * time.Minute)
	a.wantClaim(second, first.LeaseEnd.Add(-time.Microsecond), first)
	a.wantClaim(second, first.LeaseEnd, second)
	if err := a.s.KeepAnswer(a.t.Context(), kept(first, "late")); !errors.Is(err, store.ErrTakenOver) {
		a.t.Errorf("KeepAnswer of the one before: got %v, want ErrTakenOver", err)
	}
	last := kept(second, "in time")
	if err := a.s.KeepAnswer(a.t.Context(), last); err != nil {
		a.t.Fatalf("KeepAnswer: %v", err)
	}
	third := a.answer("k", "o3")
	third.ExpiresAt = a.at.Add(2 * time.Hour)
	a.wantClaim(third, last.ExpiresAt.Add(-time.Microsecond), last) // the lease no longer matters
	a.wantClaim(third, last.ExpiresAt, third)
}

func (a *answerTest) keep() {
	x := a.answer("k", "o1")
	if err := a.s.KeepAnswer(a.t.Context(), kept(x, "nothing claimed")); !errors.Is(err, store.ErrTakenOver) {
		a.t.Errorf("KeepAnswer without a claim: got %v, want ErrTakenOver", err)
	}
	a.wantNone("k")
	a.wantClaim(x, a.at, x)
	x = kept(x, "answer")
	x.Request, x.ExpiresAt = []byte{3}, a.at.Add(3*time.Hour)
	if err := a.s.KeepAnswer(a.t.Context(), x); err != nil {
		a.t.Fatalf("KeepAnswer: %v", err)
	}
	a.want(x)
}

func (a *answerTest) release() {
	ctx := a.t.Context()
	x := a.answer("k", "o1")
	a.wantClaim(x, a.at, x)
	for name, other := range map[string]store.Answer{"another owner": a.answer("k", "o2"), "another key": a.answer("l", "o1")} {
		if err := a.s.ReleaseAnswer(ctx, other); err != nil {
			a.t.Errorf("ReleaseAnswer of %s: %v", name, err)
		}
	}
	a.want(x)
	if err := a.s.ReleaseAnswer(ctx, x); err != nil {
		a.t.Errorf("ReleaseAnswer: %v", err)
	}
	a.wantNone("k")
	if err := a.s.ReleaseAnswer(ctx, x); err != nil {
		a.t.Errorf("ReleaseAnswer again: %v", err)
	}
	a.wantClaim(x, a.at, x)
	if _, err := a.s.Commit(store.WithClaim(ctx, x), oneChange("r", a.at)); err != nil {
		a.t.Fatalf("Commit: %v", err)
	}
	if err := a.s.ReleaseAnswer(ctx, x); err != nil { // only if it is pending
		a.t.Errorf("ReleaseAnswer: %v", err)
	}
	committed := x
	committed.State = store.AnswerCommitted
	a.want(committed)
	if err := a.s.ReleaseAnswer(ctx, committed); err != nil {
		a.t.Errorf("ReleaseAnswer: %v", err)
	}
	a.wantNone("k")
}

func oneChange(name string, at time.Time) store.Change {
	return store.Change{
		Puts:    []store.Record{{Tenant: "t", Kind: "k", ID: "id-" + name, Name: name, Format: 1, Doc: []byte("{}")}},
		Entries: []store.Entry{{At: at, Tenant: "t", Caller: "c", Action: "a", Name: name}},
	}
}

func (a *answerTest) most() {
	ctx := a.t.Context()
	for i := range 3 {
		x := a.answer(fmt.Sprint("k", i), "o")
		x.ExpiresAt = a.at.Add(time.Duration(i+1) * time.Hour)
		a.wantClaim(x, a.at, x)
	}
	more := a.answer("more", "o")
	more.ExpiresAt = a.at.Add(9 * time.Hour)
	if _, err := a.s.ClaimAnswer(ctx, more, a.at, 3); !errors.Is(err, store.ErrTooManyAnswers) {
		a.t.Errorf("ClaimAnswer of one more: got %v, want ErrTooManyAnswers", err)
	}
	a.wantNone("more")
	again := a.answer("k1", "o2")
	again.ExpiresAt = a.at.Add(2 * time.Hour)
	if _, err := a.s.ClaimAnswer(ctx, again, a.at.Add(time.Minute), 3); err != nil { // replaces one
		a.t.Errorf("ClaimAnswer of one that is there: %v", err)
	}
	other := more
	other.Tenant = "u"
	a.wantClaim(other, a.at, other)
	if _, err := a.s.ClaimAnswer(ctx, more, a.at.Add(time.Hour), 3); err != nil { // k0 is expired
		a.t.Errorf("ClaimAnswer after one has expired: %v", err)
	}
}

func (a *answerTest) parallel() {
	const n = 30
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			x := a.answer("k", fmt.Sprint("o", i))
			got, err := a.s.ClaimAnswer(a.t.Context(), x, a.at, 100)
			if err != nil {
				a.t.Errorf("ClaimAnswer: %v", err)
			}
			if got.Owner == x.Owner {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		a.t.Errorf("%d of %d claims were granted, want 1", won.Load(), n)
	}
}

func (a *answerTest) refused() {
	for name, edit := range map[string]func(*store.Answer){
		"no tenant":           func(x *store.Answer) { x.Tenant = "" },
		"no caller":           func(x *store.Answer) { x.Caller = "" },
		"no key":              func(x *store.Answer) { x.Key = "" },
		"no owner":            func(x *store.Answer) { x.Owner = "" },
		"no end":              func(x *store.Answer) { x.ExpiresAt = time.Time{} },
		"no state":            func(x *store.Answer) { x.State = 0 },
		"unknown state":       func(x *store.Answer) { x.State = 4 },
		"kept without answer": func(x *store.Answer) { x.State = store.AnswerKept },
		"pending with answer": func(x *store.Answer) { x.Sealed = []byte("x") },
		"too large":           func(x *store.Answer) { *x = kept(*x, string(bytes.Repeat([]byte("x"), store.MaxAnswer+1))) },
		"NUL":                 func(x *store.Answer) { x.Key = "k\x00" },
		"not UTF-8":           func(x *store.Answer) { x.Caller = "\xff" },
	} {
		x := a.answer("k", "o")
		edit(&x)
		_, err := a.s.ClaimAnswer(a.t.Context(), x, a.at, 100)
		wantKind(a.t, "ClaimAnswer with "+name, err, fault.Invalid)
		wantKind(a.t, "KeepAnswer with "+name, a.s.KeepAnswer(a.t.Context(), x), fault.Invalid)
	}
	_, err := a.s.Answer(a.t.Context(), "t", "c", "k\x00\xff")
	wantKind(a.t, "Answer of what cannot be stored", err, fault.NotFound)
	largest := kept(a.answer("k", "o"), string(bytes.Repeat([]byte("x"), store.MaxAnswer)))
	a.wantClaim(largest, a.at, largest)
}

// writes note with what they store that they did.
func (a *answerTest) writes() {
	for name, write := range map[string]func(context.Context) error{
		"record": func(ctx context.Context) error {
			_, err := a.s.Commit(ctx, oneChange("r", a.at))
			return err
		},
		"lease": func(ctx context.Context) error {
			l := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: a.at, ExpiresAt: a.at.Add(time.Hour)}
			return a.s.PutLease(ctx, l, oneChange("l", a.at).Entries[0])
		},
	} {
		x := a.answer(name, "o")
		a.wantClaim(x, a.at, x)
		if err := write(store.WithClaim(a.t.Context(), x)); err != nil {
			a.t.Fatalf("write %s: %v", name, err)
		}
		x.State = store.AnswerCommitted
		a.want(x)
		a.wantClaim(a.answer(name, "o2"), x.LeaseEnd, x) // nobody takes it over
	}
}

// writesTakenOver writes nothing.
func (a *answerTest) writesTakenOver() {
	ctx := a.t.Context()
	x := a.answer("k", "o1")
	a.wantClaim(x, a.at, x)
	second := a.answer("k", "o2")
	second.LeaseEnd = a.at.Add(2 * time.Minute)
	a.wantClaim(second, x.LeaseEnd, second)
	for name, claim := range map[string]store.Answer{"taken over": x, "gone": a.answer("never", "o")} {
		_, err := a.s.Commit(store.WithClaim(ctx, claim), oneChange("r", a.at))
		if !errors.Is(err, store.ErrTakenOver) || fault.KindOf(err) != fault.Conflict {
			a.t.Errorf("Commit when the claim is %s: got %v, want ErrTakenOver", name, err)
		}
		l := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: a.at, ExpiresAt: a.at.Add(time.Hour)}
		err = a.s.PutLease(store.WithClaim(ctx, claim), l, oneChange("l", a.at).Entries[0])
		if !errors.Is(err, store.ErrTakenOver) {
			a.t.Errorf("PutLease when the claim is %s: got %v, want ErrTakenOver", name, err)
		}
	}
	a.want(second)
	if _, err := a.s.Load(ctx, "t", "k", "r"); fault.KindOf(err) != fault.NotFound {
		a.t.Errorf("Load: got %v, want no record", err)
	}
	if entries, err := a.s.Tail(ctx, 0, 10); len(entries) != 0 || err != nil {
		a.t.Errorf("Tail: got %v, %v, want no entries", entries, err)
	}
}

// writesRefused note nothing.
func (a *answerTest) writesRefused() {
	ctx := a.t.Context()
	if _, err := a.s.Commit(ctx, oneChange("r", a.at)); err != nil {
		a.t.Fatalf("Commit: %v", err)
	}
	x := a.answer("k", "o")
	a.wantClaim(x, a.at, x)
	_, err := a.s.Commit(store.WithClaim(ctx, x), oneChange("r", a.at)) // exists
	wantKind(a.t, "Commit of a record that exists", err, fault.Conflict)
	a.want(x)
}

func (a *answerTest) closed() {
	ctx, cancel := context.WithCancel(a.t.Context())
	cancel()
	x := a.answer("k", "o")
	_, err := a.s.ClaimAnswer(ctx, x, a.at, 100)
	wantKind(a.t, "ClaimAnswer after the end of its context", err, fault.Unavailable)
	a.wantNone("k")
	if err := a.s.Close(); err != nil {
		a.t.Fatalf("Close: %v", err)
	}
	_, err = a.s.ClaimAnswer(a.t.Context(), x, a.at, 100)
	wantKind(a.t, "ClaimAnswer after Close", err, fault.Unavailable)
	wantKind(a.t, "KeepAnswer after Close", a.s.KeepAnswer(a.t.Context(), x), fault.Unavailable)
	wantKind(a.t, "ReleaseAnswer after Close", a.s.ReleaseAnswer(a.t.Context(), x), fault.Unavailable)
	_, err = a.s.Answer(a.t.Context(), "t", "c", "k")
	wantKind(a.t, "Answer after Close", err, fault.Unavailable)
}
