package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
)

// killedChild is the variable that turns TestMain into the child of
// TestA13_Kill; its value is mode and folder.
const killedChild = "SEALWRIGHT_TEST_KILLED_CHILD"

func TestMain(m *testing.M) {
	if mode, dir, ok := strings.Cut(os.Getenv(killedChild), " "); ok {
		fmt.Println(claimForever(mode, dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func killOptions(mode, dir string) journal.Options {
	o := journal.Options{Dir: dir, Mode: journal.Mode(mode), First: true, Key: key("k"), Guard: replay.Options{Past: past, Future: future}}
	if mode == "arrival" {
		o.Mode, o.Guard = "", replay.Options{Keep: time.Hour}
	}
	return o
}

// claimForever prints each message as soon as it is accepted.
func claimForever(mode, dir string) error {
	o := killOptions(mode, dir)
	if entries, _ := filepath.Glob(filepath.Join(dir, "state")); len(entries) > 0 {
		o.First = false
	}
	j, err := journal.Open(o)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for range 4 {
		go func() {
			for {
				now, n := time.Now(), rand.Uint64()
				c := gate.Claim{ID: id(n), At: now.Add(future - time.Duration(rand.IntN(60))*time.Second).Truncate(time.Microsecond)}
				if mode == "arrival" {
					c.At = time.Time{}
				}
				got, err := j.Claim(context.Background(), now, c)
				if err != nil {
					failed <- err
					return
				}
				if got == replay.Fresh {
					mu.Lock()
					fmt.Println("ok", n, c.At.UnixMicro())
					mu.Unlock()
				}
			}
		}()
	}
	return <-failed
}

// TestA13_Kill kills a process between claims and answers, and replays
// everything that was accepted until then, in all runs.
func TestA13_Kill(t *testing.T) {
	for _, mode := range []string{"barrier", "sync", "arrival"} {
		t.Run(mode, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "replay")
			var all []gate.Claim
			for range 4 {
				// Counted in answers, the moment differs in every round. After a crash
				// the mode barrier answers only for what is signed after it, which the
				// next second brings.
				all = append(all, killAfter(t, mode, dir, 1+rand.IntN(3000))...)
				o := killOptions(mode, dir)
				o.First = false
				j, err := journal.Open(o)
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				known, barred := 0, false // as in mode barrier, or after a pause of the machine
				for _, c := range all {
					switch got, err := j.Claim(t.Context(), time.Now(), c); {
					case got == replay.Fresh || err != nil:
						t.Fatalf("message signed at %v: got %v, %v", c.At, got, err)
					case got == replay.Replayed:
						known++
					case got == replay.Barred:
						barred = true
					}
				}
				if !barred && known != len(all) {
					t.Errorf("%d of %d messages were known", known, len(all))
				}
				if err := j.Close(); err != nil {
					t.Fatalf("Close: %v", err)
				}
			}
		})
	}
}

// killAfter runs the child, kills it after n messages, and returns all that it
// accepted.
func killAfter(t *testing.T, mode, dir string, n int) []gate.Claim {
	t.Helper()
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedChild+"="+mode+" "+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var claims []gate.Claim
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var number uint64
		var at int64
		if _, err := fmt.Sscanf(lines.Text(), "ok %d %d", &number, &at); err != nil {
			if !strings.HasPrefix(lines.Text(), "ok") && len(claims) < n {
				t.Errorf("child: %s", lines.Text())
			}
			continue // cut by the end
		}
		c := gate.Claim{ID: id(number), At: time.UnixMicro(at)}
		if mode == "arrival" {
			c.At = time.Time{}
		}
		claims = append(claims, c)
		if len(claims) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	return claims
}
