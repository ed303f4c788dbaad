package journal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
)

const (
	past   = 300 * time.Second
	future = 5 * time.Second
)

// disk is a folder of a journal, a clock, and what the operator was told.
type disk struct {
	t      *testing.T
	o      journal.Options
	offset atomic.Int64 // of the clock, in ns
	dead   atomic.Bool  // nothing reaches the disk any more
	alarms []string
	mu     sync.Mutex
}

func newDisk(t *testing.T, mode journal.Mode) *disk {
	d := &disk{t: t}
	d.o = journal.Options{
		Dir: filepath.Join(t.TempDir(), "replay"), Mode: mode, First: true, Key: key("k"),
		Guard: replay.Options{Past: past, Future: future, Capacity: 100_000},
	}
	return d
}

// act does a step on the disk. The tests end processes, not machines, so they
// need not wait for the disk; TestA13_Kill does.
func act(step string, do func() error) error {
	if strings.HasPrefix(step, "sync ") {
		return nil
	}
	return do()
}

// key returns a guard key that is filled with letter.
func key(letter string) *replay.Key {
	k, err := replay.NewKey(secret.FromString(strings.Repeat(letter, replay.KeySize)))
	if err != nil {
		panic(err)
	}
	return k
}

// arrival makes it a disk of messages without a signed time.
func (d *disk) arrival() *disk {
	d.o.Guard = replay.Options{Keep: time.Hour, Capacity: 100_000}
	return d
}

func (d *disk) now() time.Time { return time.Now().Add(time.Duration(d.offset.Load())) }

// step moves the clock.
func (d *disk) step(by time.Duration) { d.offset.Add(int64(by)) }

func (d *disk) tryOpen() (*journal.Journal, error) {
	o := d.o
	o.Now = d.now
	o.Alarm = func(err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.alarms = append(d.alarms, err.Error())
	}
	return journal.Open(journal.Act(o, func(step string, do func() error) error {
		if d.dead.Load() {
			return errors.New("killed")
		}
		return act(step, do)
	}))
}

func (d *disk) open() *journal.Journal {
	d.t.Helper()
	j, err := d.tryOpen()
	if err != nil {
		d.t.Fatalf("Open: %v", err)
	}
	d.o.First = false
	return j
}

// crash ends j so that nothing more reaches the disk.
func (d *disk) crash(j *journal.Journal) {
	d.dead.Store(true)
	_ = j.Close() // cannot write
	d.dead.Store(false)
}

func (d *disk) alarmed(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.alarms {
		if strings.Contains(a, text) {
			return true
		}
	}
	return false
}

// files returns the paths of the files of claims.
func (d *disk) files() []string {
	paths, err := filepath.Glob(filepath.Join(d.o.Dir, "*.claims"))
	if err != nil || len(paths) == 0 {
		d.t.Fatalf("files of claims: got %v, %v", paths, err)
	}
	return paths
}

// message is what arrives; age is that of its signed time.
type message struct {
	id replay.ID
	at time.Time // zero if it has none
}

func id(n uint64) replay.ID {
	var id replay.ID
	binary.BigEndian.PutUint64(id[:], n*0x9E3779B97F4A7C15)
	return id
}

func claim(d *disk, j gate.Claims, m message) (replay.Outcome, error) {
	now := d.now()
	c := gate.Claim{ID: m.id, Owner: 1, At: m.at, Until: m.at.Add(past)}
	if m.at.IsZero() {
		c.Until = now.Add(time.Hour)
	}
	return j.Claim(context.Background(), now, c)
}

func want(t *testing.T, d *disk, j gate.Claims, what string, m message, want replay.Outcome) {
	t.Helper()
	if got, err := claim(d, j, m); got != want || err != nil {
		t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
	}
}

// accept claims n messages, signed over some minutes or not signed with a time,
// while the clock goes on, and returns those that were accepted.
func accept(t *testing.T, d *disk, j *journal.Journal, n int) []message {
	t.Helper()
	var all []message
	for i := range n {
		m := message{id: id(rand.Uint64())}
		if d.o.Guard.Keep == 0 {
			m.at = d.now().Add(future - time.Duration(i)*(past/2+future)/time.Duration(n))
		}
		want(t, d, j, "first", m, replay.Fresh)
		all = append(all, m)
		time.Sleep(20 * time.Millisecond)
	}
	return all
}

// replayAll sends all messages again: none is accepted.
func replayAll(t *testing.T, d *disk, j gate.Claims, all []message) (known int) {
	t.Helper()
	for _, m := range all {
		got, err := claim(d, j, m)
		if got == replay.Fresh {
			t.Errorf("message signed at %v was accepted again", m.at)
		}
		if got == replay.Replayed && err == nil {
			known++
		}
	}
	return known
}

// TestA13_Restart stops in every way and replays everything: with a clean stop
// or in mode sync nothing else is refused, after a crash what was signed before
// it.
func TestA13_Restart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mode    journal.Mode
		arrival bool
		crash   bool
		pause   time.Duration
		loaded  bool // nothing is barred
	}{
		{"BarrierClean", journal.Barrier, false, false, 0, true},
		{"BarrierCleanShortPause", journal.Barrier, false, false, 6 * time.Second, true},
		{"BarrierCleanLongPause", journal.Barrier, false, false, 10 * time.Second, false},
		{"BarrierCrash", journal.Barrier, false, true, 0, false},
		{"BarrierCrashLongPause", journal.Barrier, false, true, time.Minute, false},
		{"SyncClean", journal.Sync, false, false, 0, true},
		{"SyncCrash", journal.Sync, false, true, 0, true},
		{"SyncCrashLongPause", journal.Sync, false, true, time.Minute, false},
		{"ArrivalClean", "", true, false, 0, true},
		{"ArrivalCrash", "", true, true, 0, true},
		{"ArrivalCrashLongPause", "", true, true, time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t, tt.mode)
				if tt.arrival {
					d.arrival()
				}
				j := d.open()
				all := accept(t, d, j, 100)
				if tt.crash {
					d.crash(j)
				} else if err := j.Close(); err != nil {
					t.Fatalf("Close: %v", err)
				}
				time.Sleep(tt.pause)
				j = d.open()
				defer j.Close()
				known := replayAll(t, d, j, all)
				if tt.loaded != (known == len(all)) || !tt.loaded && known > 0 {
					t.Errorf("%d of %d messages were known, want all: %v", known, len(all), tt.loaded)
				}
				newer := message{id: id(1)}
				if !tt.arrival {
					newer.at = d.now().Add(-time.Second)
				}
				outcome := replay.Fresh
				if !tt.loaded {
					outcome = replay.Barred
				}
				want(t, d, j, "new message", newer, outcome)
				// With a skew of 5 s honest senders wait for 7 s at the most, and the
				// barrier does not move with those who come meanwhile.
				time.Sleep(future + 2*time.Second + time.Millisecond)
				if !tt.arrival {
					newer.at = d.now()
				}
				newer.id = id(2)
				want(t, d, j, "new message after the barrier", newer, replay.Fresh)
				if tt.loaded == d.alarmed("signed until") {
					t.Errorf("alarms: got %q", d.alarms)
				}
			})
		})
	}
}

// TestA13_Damage does to the files what disks and people do, after a clean stop
// and after a crash, and replays everything.
func TestA13_Damage(t *testing.T) {
	truncate := func(size func(used, whole int64) int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			used := int64(len(strings.TrimRight(string(b), "\x00")))
			used = (used + 15) / 16 * 16
			if err := os.Truncate(path, size(used, int64(len(b)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(at func(used int) int) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			i := at(len(strings.TrimRight(string(b), "\x00")))
			b[i] ^= 1 << rand.IntN(8)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
	}{
		{"Delete", remove},
		{"Empty", truncate(func(int64, int64) int64 { return 0 })},
		{"HeaderOnly", truncate(func(int64, int64) int64 { return 16 })},
		{"LastRecordCut", truncate(func(used, _ int64) int64 { return used - 16 })},
		{"LastRecordTorn", truncate(func(used, _ int64) int64 { return used - 5 })},
		{"CutBehindLastRecord", truncate(func(used, _ int64) int64 { return used })},
		{"FlipHeader", flip(func(int) int { return rand.IntN(16) })},
		{"FlipFirst", flip(func(int) int { return 16 + rand.IntN(16) })},
		{"FlipLast", flip(func(used int) int { return (used+15)/16*16 - 16 + rand.IntN(16) })},
		{"FlipAny", flip(func(used int) int { return rand.IntN(used) })},
		{"FlipBehind", flip(func(used int) int { return used + 100 })},
		{"DeleteState", func(t *testing.T, path string) { remove(t, filepath.Join(filepath.Dir(path), "state")) }},
		{"DeleteAll", func(t *testing.T, path string) {
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, mode := range []string{"Barrier", "Sync", "Arrival"} {
		for _, stop := range []string{"Clean", "Crash"} {
			for _, tt := range tests {
				t.Run(mode+stop+tt.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := newDisk(t, journal.Mode(strings.ToLower(mode)))
						if mode == "Arrival" {
							d.arrival()
							d.o.Mode = ""
						}
						j := d.open()
						all := accept(t, d, j, 40)
						if stop == "Crash" {
							time.Sleep(150 * time.Millisecond) // in mode barrier there is something to damage
							d.crash(j)
						} else if err := j.Close(); err != nil {
							t.Fatal(err)
						}
						files := d.files()
						tt.damage(t, files[rand.IntN(len(files))])
						j, err := d.tryOpen()
						if mode == "Arrival" {
							if err == nil {
								_ = j.Close()
								t.Fatal("Open of damaged claims that cannot be barred: got no error")
							}
							if fault.KindOf(err) != fault.Unavailable {
								t.Errorf("Open: got %v, want kind unavailable", err)
							}
							d.o.AcceptLoss = true
							j = d.open()
							defer j.Close()
							if !d.alarmed("damaged") {
								t.Errorf("alarms: got %q", d.alarms)
							}
							want(t, d, j, "new message", message{id: id(1)}, replay.Fresh)
							return
						}
						if err != nil {
							t.Fatalf("Open: %v", err)
						}
						defer j.Close()
						if known := replayAll(t, d, j, all); known != 0 {
							t.Errorf("%d messages were known, want a barrier for all", known)
						}
						time.Sleep(future + 3*time.Second)
						want(t, d, j, "after the barrier", message{id(1), d.now()}, replay.Fresh)
						if !d.alarmed("signed until") {
							t.Errorf("alarms: got %q", d.alarms)
						}
					})
				})
			}
		}
	}
}

// TestA13_FlipState: a state of which one half cannot be read is no clean stop.
func TestA13_FlipState(t *testing.T) {
	for half := range 2 {
		for _, at := range []int{0, 3, 4, 8, 20, 60} {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t, journal.Barrier)
				j := d.open()
				all := accept(t, d, j, 20)
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(d.o.Dir, "state")
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				b[half*len(b)/2+at] ^= 0x10
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				j = d.open()
				defer j.Close()
				if known := replayAll(t, d, j, all); known != 0 {
					t.Errorf("half %d byte %d: %d messages were known, want a barrier", half, at, known)
				}
			})
		}
	}
}

// TestA13_Clock: no step of the clock at a restart, in either direction, brings
// anything back.
func TestA13_Clock(t *testing.T) {
	for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
		for _, crash := range []bool{false, true} {
			for _, step := range []time.Duration{-time.Hour, -10 * time.Minute, -past, -time.Minute, -time.Second, time.Second, time.Minute, past, time.Hour} {
				t.Run(fmt.Sprintf("%s/crash=%v/%v", mode, crash, step), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := newDisk(t, mode)
						j := d.open()
						all := accept(t, d, j, 30)
						time.Sleep(past + 20*time.Second) // some files are gone
						all = append(all, accept(t, d, j, 30)...)
						stop := func() {
							if crash {
								d.crash(j)
							} else if err := j.Close(); err != nil {
								t.Fatal(err)
							}
						}
						stop()
						d.step(step)
						j = d.open()
						replayAll(t, d, j, all)
						if step == -time.Hour && !d.alarmed("behind") {
							t.Errorf("alarms: got %q", d.alarms)
						}
						time.Sleep(10 * time.Second)
						replayAll(t, d, j, all)
						if step < -past {
							now := d.now()
							want(t, d, j, "as long as the clock is behind", message{id(1), now}, replay.Barred)
						}
						stop()
						d.step(-step) // and back
						j = d.open()
						defer j.Close()
						replayAll(t, d, j, all)
						for range 40 {
							time.Sleep(10 * time.Second)
							replayAll(t, d, j, all)
						}
					})
				})
			}
		}
	}
}

// A machine that is set back to an earlier moment, while the process runs or
// not, refuses what it may have accepted after that moment.
func TestA13_SetBack(t *testing.T) {
	t.Run("Folder", func(t *testing.T) {
		for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
			for _, clean := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					d := newDisk(t, mode)
					j := d.open()
					all := accept(t, d, j, 20)
					if clean {
						if err := j.Close(); err != nil {
							t.Fatal(err)
						}
					}
					saved := filepath.Join(t.TempDir(), "saved")
					if err := os.CopyFS(saved, os.DirFS(d.o.Dir)); err != nil {
						t.Fatal(err)
					}
					if clean {
						j = d.open()
					}
					all = append(all, accept(t, d, j, 20)...)
					time.Sleep(10 * time.Second)
					all = append(all, accept(t, d, j, 20)...)
					if err := j.Close(); err != nil {
						t.Fatal(err)
					}
					d.o.Dir = saved
					j = d.open()
					defer j.Close()
					replayAll(t, d, j, all)
				})
			}
		}
	})
	t.Run("Memory", func(t *testing.T) { // a process that did not run for a minute may have been set back by one
		synctest.Test(t, func(t *testing.T) {
			d := newDisk(t, journal.Barrier)
			j := d.open()
			defer j.Close()
			d.step(time.Minute)
			elsewhere := []message{{id(1), d.now().Add(-50 * time.Second)}, {id(2), d.now()}, {id(3), d.now().Add(-past)}}
			if known := replayAll(t, d, j, elsewhere); known != 0 {
				t.Errorf("%d messages were known, want a barrier", known)
			}
			time.Sleep(future + 3*time.Second)
			want(t, d, j, "after the barrier", message{id(4), d.now()}, replay.Fresh)
		})
	})
}

// TestA13_Parallel sends 100 copies of each message at the same time: one is
// accepted.
func TestA13_Parallel(t *testing.T) {
	for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
		t.Run(string(mode), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { parallel(t, mode) }) })
	}
}

func parallel(t *testing.T, mode journal.Mode) {
	d := newDisk(t, mode)
	j := d.open()
	var fresh [20]atomic.Int64
	send := func() {
		var group sync.WaitGroup
		now := d.now()
		for range 100 {
			for i := range fresh {
				group.Go(func() {
					switch got, err := claim(d, j, message{id(uint64(i)), now.Truncate(time.Minute)}); {
					case err != nil:
						t.Errorf("Claim: %v", err)
					case got == replay.Fresh:
						fresh[i].Add(1)
					case got != replay.Replayed:
						t.Errorf("Claim: got %v, want replayed", got)
					}
				})
			}
		}
		group.Wait()
	}
	send()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range fresh {
		if n := fresh[i].Load(); n != 1 {
			t.Errorf("%s: message %d was accepted %d times, want 1", mode, i, n)
		}
	}
}

// A message above the mark waits for the next, and is not accepted without one.
func TestMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t, journal.Barrier)
		j := d.open()
		d.step(3 * time.Second) // the mark is 7 s ahead of the start
		m := message{id(1), d.now().Add(future)}
		want(t, d, j, "raised at once", m, replay.Fresh)
		d.dead.Store(true)
		d.step(3 * time.Second)
		m = message{id(2), d.now().Add(future)}
		if got, err := claim(d, j, m); err == nil || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("mark cannot be raised: got %v, %v, want kind unavailable", got, err)
		}
		want(t, d, j, "below the mark", message{id(3), d.now()}, replay.Fresh)
		d.dead.Store(false)
		want(t, d, j, "raised again", m, replay.Fresh)
		d.crash(j)
		d.step(-4 * time.Second) // the clock of the crash
		j = d.open()
		defer j.Close()
		replayAll(t, d, j, []message{{id(1), m.at.Add(-3 * time.Second)}, m})
	})
}

func TestClosed(t *testing.T) {
	d := newDisk(t, "")
	j := d.open()
	if _, err := d.tryOpen(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Open of a folder that is in use: got %v, want kind unavailable", err)
	}
	for range 2 {
		if err := j.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if got, err := claim(d, j, message{id(1), d.now()}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Claim after Close: got %v, %v, want kind unavailable", got, err)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]journal.Options{
		"NoWindow":       {},
		"BarrierArrival": {Mode: journal.Barrier, Guard: replay.Options{Keep: time.Hour}},
		"BarrierSkew":    {Mode: journal.Barrier, Guard: replay.Options{Past: past, Future: 31 * time.Second}},
		"Mode":           {Mode: "none", Guard: replay.Options{Past: past}},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			if _, err := journal.Open(o); fault.KindOf(err) != fault.Invalid {
				t.Errorf("Open: got %v, want kind invalid", err)
			}
		})
	}
}

// Messages go to the journal of their kind, and what could pass for longer than
// it remembers is not accepted.
func TestPair(t *testing.T) { synctest.Test(t, pair) }

func pair(t *testing.T) {
	signed, arrival := newDisk(t, ""), newDisk(t, "").arrival()
	p := journal.Pair{Signed: signed.open(), Arrival: arrival.open()}
	defer p.Close()
	now := time.Now()
	for _, tt := range []struct {
		name  string
		claim gate.Claim
		want  replay.Outcome
	}{
		{"Signed", gate.Claim{ID: id(1), At: now, Until: now.Add(past)}, replay.Fresh},
		{"SignedAgain", gate.Claim{ID: id(1), At: now, Until: now.Add(past)}, replay.Replayed},
		{"Arrival", gate.Claim{ID: id(1), Until: now.Add(time.Hour)}, replay.Fresh},
		{"ArrivalAgain", gate.Claim{ID: id(1)}, replay.Replayed},
		{"SignedForTooLong", gate.Claim{ID: id(2), At: now, Until: now.Add(past + 1)}, replay.Outside},
		{"ArrivalForTooLong", gate.Claim{ID: id(2), Until: now.Add(time.Hour + 1)}, replay.Outside},
		{"Before1970", gate.Claim{ID: id(2), At: time.Unix(-1, 0)}, replay.Outside},
		{"After2106", gate.Claim{ID: id(2), At: time.Unix(1<<32, 0)}, replay.Outside},
	} {
		if got, err := p.Claim(t.Context(), now, tt.claim); got != tt.want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for _, c := range []gate.Claim{{ID: id(3)}, {ID: id(3), At: now}} {
		if got, err := (journal.Pair{}).Claim(t.Context(), now, c); got != replay.Outside || err != nil {
			t.Errorf("Claim without a journal: got %v, %v, want outside", got, err)
		}
	}
}

// Files go when nothing in them can pass any more, and memory with them.
func TestFilesGo(t *testing.T) {
	for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
		synctest.Test(t, func(t *testing.T) {
			d := newDisk(t, mode)
			j := d.open()
			for range 40 {
				accept(t, d, j, 20)
				time.Sleep(20 * time.Second)
				if n := len(d.files()); n > 20 {
					t.Fatalf("%d files, want at most 20", n)
				}
			}
			time.Sleep(past + 30*time.Second)
			if paths, _ := filepath.Glob(filepath.Join(d.o.Dir, "*.claims")); len(paths) != 0 || j.Len() != 0 {
				t.Errorf("after the window: %v, %d claims", paths, j.Len())
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A window to the future only needs no more files than others.
func TestFilesOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t, journal.Sync)
		d.o.Guard.Past, d.o.Guard.Future = 0, time.Hour
		j := d.open()
		defer j.Close()
		for i := range 720 {
			now := d.now()
			c := gate.Claim{ID: id(uint64(i)), At: now.Add(time.Duration(i) * 5 * time.Second)}
			if got, err := j.Claim(t.Context(), now, c); got != replay.Fresh || err != nil {
				t.Fatalf("Claim: got %v, %v", got, err)
			}
		}
		if n := len(d.files()); n > 20 {
			t.Errorf("%d files, want at most 20", n)
		}
	})
}

// Under another key nothing is known that was claimed before.
func TestA13_OtherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t, journal.Sync)
		j := d.open()
		all := accept(t, d, j, 20)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		d.o.Key = key("l")
		j = d.open()
		defer j.Close()
		if known := replayAll(t, d, j, all); known != 0 || !d.alarmed("another key") {
			t.Errorf("%d messages were known, want a barrier, alarms %q", known, d.alarms)
		}
		time.Sleep(10 * time.Second)
		all = []message{{id(1), d.now()}, {id(2), d.now().Add(time.Second)}}
		for _, m := range all {
			want(t, d, j, "after the barrier", m, replay.Fresh)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		d.o.Key = nil // binds none
		j = d.open()
		defer j.Close()
		if known := replayAll(t, d, j, all); known != len(all) {
			t.Errorf("%d of %d messages were known without a key", known, len(all))
		}
	})
	d := newDisk(t, "").arrival()
	if err := d.open().Close(); err != nil {
		t.Fatal(err)
	}
	d.o.Key = key("l")
	if _, err := d.tryOpen(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Open of claims that cannot be barred: got %v, want kind unavailable", err)
	}
}

// A guard that fills up is told of before it is full.
func TestFullAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t, "")
		d.o.Guard.Capacity = 100
		j := d.open()
		defer j.Close()
		for i := range 81 {
			m := message{id(uint64(i)), d.now()}
			c := gate.Claim{ID: m.id, At: m.at, Until: m.at.Add(past)}
			if got, err := j.Claim(t.Context(), d.now(), c); got != replay.Fresh || err != nil {
				t.Fatalf("Claim: got %v, %v", got, err)
			}
		}
		time.Sleep(1100 * time.Millisecond)
		if !d.alarmed("filling up") {
			t.Errorf("alarms: got %q", d.alarms)
		}
	})
}
