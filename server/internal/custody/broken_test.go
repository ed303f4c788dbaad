package custody_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var errLost = errors.New("lost")

// writes are all operations that write, on a house with an exportable key "a".
var writes = []struct {
	name string
	run  func(context.Context, *house) error
	puts bool // records, not only an entry
}{
	{"Create", func(ctx context.Context, h *house) error {
		_, err := h.Create(ctx, admin, custody.CreateKey{Name: "b"})
		return err
	}, true},
	{"CreateFirstOfTenant", func(ctx context.Context, h *house) error {
		_, err := h.Create(ctx, other, custody.CreateKey{Name: "b"})
		return err
	}, true},
	{"Rotate", func(ctx context.Context, h *house) error {
		_, err := h.Rotate(ctx, admin, "a", 0, custody.Rotation{})
		return err
	}, true},
	{"RotateWithPrecondition", func(ctx context.Context, h *house) error {
		_, err := h.Rotate(ctx, admin, "a", 1, custody.Rotation{})
		return err
	}, true},
	{"RotateInAnEmergency", func(ctx context.Context, h *house) error {
		_, err := h.Rotate(ctx, admin, "a", 1, custody.Rotation{RevokeCurrent: true})
		return err
	}, true},
	{"SetSchedule", func(ctx context.Context, h *house) error {
		_, err := h.SetSchedule(ctx, admin, "a", 1, &custody.Schedule{Every: time.Hour})
		return err
	}, true},
	{"Delete", func(ctx context.Context, h *house) error { return h.Delete(ctx, admin, "a", 0) }, true},
	{"Reveal", func(ctx context.Context, h *house) error {
		revealed, err := h.Reveal(ctx, admin, "a")
		if err != nil && revealed != nil {
			return errors.New("revealed although the entry is not stored")
		}
		return err
	}, false},
	{"Rewrap", func(ctx context.Context, h *house) error {
		n, err := h.Rewrap(ctx, admin)
		if (err == nil) != (n == 1) {
			return errors.New("the number of wrapped keys and the error contradict each other")
		}
		return err
	}, true},
}

func brokenHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := local.Add(h.root); err != nil {
		t.Fatalf("Add: %v", err)
	}
	if err := h.wrapper.Reload(); err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return h
}

// A write that is not stored is an error, changes nothing, and works the next
// time.
func TestWriteNotStored(t *testing.T) {
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			h := brokenHouse(t)
			before := h.dump(t)
			h.store.Fail(memory.Fault{Err: errLost, Apply: false})
			if err := w.run(t.Context(), h); !errors.Is(err, errLost) {
				t.Errorf("got %v, want %v", err, errLost)
			}
			if diff := cmp.Diff(before, h.dump(t)); diff != "" {
				t.Errorf("the store (-before +after):\n%s", diff)
			}
			h.checkReopened(t)
			if err := w.run(t.Context(), h); err != nil {
				t.Errorf("again: %v", err)
			}
			h.checkReopened(t)
		})
	}
}

// A write that is stored while the answer is lost has happened once, and the
// service shows it.
func TestWriteStoredButLost(t *testing.T) {
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			h := brokenHouse(t)
			entries := len(h.log(t))
			h.store.Fail(memory.Fault{Err: errLost, Apply: true})
			err := w.run(t.Context(), h)
			if w.puts && err != nil {
				t.Errorf("got %v, want success, which can be seen in the store", err)
			}
			if !w.puts && !errors.Is(err, errLost) {
				t.Errorf("got %v, want %v: an entry cannot be looked up", err, errLost)
			}
			if n := len(h.log(t)); n == entries {
				t.Errorf("the log has still %d entries", n)
			}
			h.checkReopened(t)
		})
	}
}

// A write with an unknown outcome, because the store is gone altogether, is an
// error. When the store is back, the service and the store agree after the
// next operation on the key, whatever the outcome was.
func TestWriteOutcomeUnknown(t *testing.T) {
	for _, stored := range []bool{false, true} {
		for _, w := range writes[:5] {
			name := "NotStored/" + w.name
			if stored {
				name = "Stored/" + w.name
			}
			t.Run(name, func(t *testing.T) {
				h := brokenHouse(t)
				outage := &outage{Store: h.store, apply: stored}
				h.Service = h.open(t, outage)
				outage.on = true
				if err := w.run(t.Context(), h); fault.KindOf(err) != fault.Unavailable {
					t.Errorf("got %v, want kind unavailable", err)
				}
				outage.on = false
				if err := w.run(t.Context(), h); stored == (err == nil) && w.name != "Rotate" {
					t.Errorf("again: got %v, was stored before: %v", err, stored)
				}
				h.checkReopened(t)
			})
		}
	}
}

// outage is a store of which, while it is on, nothing but a commit comes
// through, and no answer.
type outage struct {
	custody.Store
	apply bool
	on    bool
	gone  bool // from the commit on
}

func (o *outage) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	if o.on && o.gone {
		return store.Record{}, fault.New(fault.Unavailable, "store is gone")
	}
	return o.Store.Load(ctx, tenant, kind, name)
}

func (o *outage) Commit(ctx context.Context, c store.Change) (int64, error) {
	if !o.on {
		return o.Store.Commit(ctx, c)
	}
	o.gone = true
	if o.apply {
		if _, err := o.Store.Commit(ctx, c); err != nil {
			return 0, err
		}
	}
	return 0, fault.New(fault.Unavailable, "store is gone")
}

// The caller may give up while the commit is under way: the outcome is looked
// up all the same.
func TestWriteWhileContextEnds(t *testing.T) {
	h := brokenHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.Service = h.open(t, &cancelling{Store: h.store, cancel: cancel})
	k, err := h.Rotate(ctx, admin, "a", 0, custody.Rotation{})
	if err != nil || k.Signing != 2 {
		t.Errorf("Rotate: got %v, want success, which can be seen in the store", err)
	}
	h.checkReopened(t)
}

// cancelling ends the context of a commit that it stores.
type cancelling struct {
	custody.Store
	cancel func()
}

func (c *cancelling) Commit(ctx context.Context, change store.Change) (int64, error) {
	if _, err := c.Store.Commit(ctx, change); err != nil {
		return 0, err
	}
	c.cancel()
	return 0, ctx.Err()
}

// Everybody else is always faster: after three attempts it is a conflict.
func TestConflictWithoutEnd(t *testing.T) {
	for _, w := range writes[:5] {
		if w.name == "RotateWithPrecondition" {
			continue // loses at once
		}
		t.Run(w.name, func(t *testing.T) {
			h := brokenHouse(t)
			st := &blind{Store: h.store}
			h.Service = h.open(t, st)
			st.commit = fault.New(fault.Conflict, "somebody was faster")
			err := w.run(t.Context(), h)
			wantKind(t, w.name, err, fault.Conflict)
			if errors.Is(err, custody.ErrPrecondition) {
				t.Errorf("%s: got %v, which blames a precondition", w.name, err)
			}
			st.commit = nil
			h.checkReopened(t)
		})
	}
}

// A refusal stands also when its entry cannot be stored.
func TestRefusalWithoutEntry(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	h.store.Fail(memory.Fault{Err: errLost})
	_, err := h.Reveal(t.Context(), admin, "a")
	wantKind(t, "Reveal", err, fault.Denied)
	if !errors.Is(err, errLost) {
		t.Errorf("Reveal: got %v, want %v in the chain for the log", err, errLost)
	}
}
