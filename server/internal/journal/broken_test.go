package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
)

// TestA13_BrokenDisk breaks every step on the disk in turn, in both ways: not
// done, and done but reported as failed. Then the process stops in either way
// and everything is replayed. What was answered is never accepted again, and the
// journal goes on when the disk does.
func TestA13_BrokenDisk(t *testing.T) {
	for _, mode := range []string{"barrier", "sync", "arrival"} {
		for _, done := range []bool{false, true} {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/done=%v/crash=%v", mode, done, crash), func(t *testing.T) {
					steps := 0
					for at := 0; ; at++ {
						broke := false
						synctest.Test(t, func(t *testing.T) { broke = breakStep(t, mode, at, done, crash) })
						if !broke {
							break
						}
						steps++
					}
					if steps < 10 {
						t.Errorf("broke %d steps, want at least 10", steps)
					}
				})
			}
		}
	}
}

// breakStep reports whether there was a step of that number.
func breakStep(t *testing.T, mode string, at int, done, crash bool) (broke bool) {
	d := newDisk(t, journal.Mode(mode))
	if mode == "arrival" {
		d.arrival()
		d.o.Mode, d.o.Guard.Keep = "", 20*time.Second
	} else {
		d.o.Guard.Past = 20 * time.Second
	}
	var all []message
	n, where := atomic.Int64{}, ""
	lost := errors.New("lost")
	fail := func(step string, do func() error) error {
		if d.dead.Load() {
			return errors.New("killed")
		}
		if int(n.Add(1))-1 != at {
			return act(step, do)
		}
		broke, where = true, step
		if done {
			return errors.Join(act(step, do), lost)
		}
		return lost
	}
	o := d.o
	o.Now = d.now
	run := func() {
		j, err := journal.Open(journal.Act(o, fail))
		if err != nil {
			return // the next run finds what this one has left
		}
		o.First = false
		claims := func(count int) {
			for range count {
				m := message{id: id(rand.Uint64())}
				if mode != "arrival" {
					m.at = d.now().Add(-time.Duration(rand.IntN(15)) * time.Second)
				}
				now := d.now()
				got, err := j.Claim(t.Context(), now, gate.Claim{ID: m.id, At: m.at})
				if err == nil && got == replay.Fresh {
					all = append(all, m)
				}
			}
		}
		claims(5)
		time.Sleep(1050 * time.Millisecond)
		claims(5)
		time.Sleep(3 * time.Second) // some files are older than the window
		claims(5)
		if crash {
			d.crash(j)
		} else {
			_ = j.Close()
		}
	}
	run()
	run()
	d.o.First = o.First
	j, err := d.tryOpen()
	if err != nil {
		t.Fatalf("Open after %q broke: %v", where, err)
	}
	defer j.Close()
	for _, m := range all {
		if got, err := j.Claim(t.Context(), d.now(), gate.Claim{ID: m.id, At: m.at}); got == replay.Fresh {
			t.Errorf("%q broke: message signed at %v was accepted again, %v", where, m.at, err)
		}
	}
	time.Sleep(8 * time.Second)
	m := message{id: id(1)}
	if mode != "arrival" {
		m.at = d.now()
	}
	if got, err := j.Claim(t.Context(), d.now(), gate.Claim{ID: m.id, At: m.at}); got != replay.Fresh || err != nil {
		t.Errorf("%q broke: new message: got %v, %v", where, got, err)
	}
	return broke
}

// A disk that fails for a while refuses messages for a while; the next start
// does not take the stop for a clean one.
func TestDiskHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t, journal.Sync)
		j := d.open()
		d.dead.Store(true)
		refused := message{id(1), d.now()}
		if got, err := claim(d, j, refused); err == nil {
			t.Errorf("Claim on a disk that fails: got %v, want an error", got)
		}
		want(t, d, j, "refused before", refused, replay.Replayed)
		d.dead.Store(false)
		kept := message{id(2), d.now()}
		want(t, d, j, "disk works again", kept, replay.Fresh)
		if err := j.Close(); err == nil {
			t.Error("Close with a claim that is not on the disk: got no error")
		}
		if !d.alarmed("cannot be written") {
			t.Errorf("alarms: got %q", d.alarms)
		}
		j = d.open()
		defer j.Close()
		want(t, d, j, "after a restart", kept, replay.Replayed)
	})
}

// Sectors of the last page may be missing after a power loss: nothing in them
// was answered. A gap anywhere else is damage.
func TestGap(t *testing.T) {
	for name, tt := range map[string]struct {
		at    int
		known int
	}{"LastPage": {300 * 16, 399}, "EarlierPage": {100 * 16, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t, journal.Sync)
				j := d.open()
				now := d.now()
				var all []message
				for i := range 400 {
					m := message{id(uint64(i)), now}
					want(t, d, j, "first", m, replay.Fresh)
					all = append(all, m)
				}
				d.crash(j)
				path := d.files()[0]
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				clear(b[tt.at : tt.at+16])
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				j = d.open()
				defer j.Close()
				known := 0
				for _, m := range all {
					if got, err := claim(d, j, m); got == replay.Replayed && err == nil {
						known++
					}
				}
				if known != tt.known {
					t.Errorf("%d messages were known, want %d", known, tt.known)
				}
			})
		})
	}
}

// TestProperty: for any sequence of messages, steps of the clock within the
// skew, and stops and starts of every kind, no message is accepted twice.
func TestProperty(t *testing.T) {
	for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", mode, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { property(t, mode, rand.New(rand.NewPCG(seed, 7))) })
			})
		}
	}
}

func property(t *testing.T, mode journal.Mode, rng *rand.Rand) {
	within := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	d := newDisk(t, mode)
	j := d.open()
	var sent []message
	accepted := map[message]bool{}
	starts := 0
	for range 3000 {
		switch rng.IntN(100) {
		case 0: // a stop and a start
			starts++
			if rng.IntN(2) == 0 {
				d.crash(j)
			} else {
				_ = j.Close()
			}
			time.Sleep(within(20 * time.Second))
			j = d.open()
		case 1, 2:
			d.offset.Store(int64(within(2*future) - future))
		case 3:
			time.Sleep(within(past / 4))
		default:
			time.Sleep(within(300 * time.Millisecond))
		}
		m := message{id(rng.Uint64()), d.now().Add(future - within(future+past/8))}
		if len(sent) > 0 && rng.IntN(2) == 0 {
			m = sent[len(sent)-1-rng.IntN(min(len(sent), 400))]
		}
		sent = append(sent, m)
		if got, err := claim(d, j, m); got != replay.Fresh || err != nil {
			continue
		}
		if accepted[m] {
			t.Fatalf("message signed at %v was accepted twice, after %d starts", m.at, starts)
		}
		accepted[m] = true
	}
	if err := j.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if len(accepted) < 300 || starts < 10 {
		t.Errorf("%d messages were accepted in %d runs", len(accepted), starts)
	}
}
