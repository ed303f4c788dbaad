package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// killedChild is the variable that turns TestMain into the child of
// TestKill; its value is the path of the database.
const killedChild = "SEALWRIGHT_TEST_KILLED_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(killedChild); path != "" {
		if leases, ok := strings.CutPrefix(path, spends); ok {
			fmt.Println(spendForever(leases))
		} else {
			fmt.Println(commitForever(path))
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// commitForever prints the name of each change as soon as it is acknowledged.
func commitForever(path string) error {
	ctx, process := context.Background(), os.Getpid()
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", process, w, i)
				if _, err := s.Commit(ctx, change(name)); err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println("ok", name)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// A process that is killed at any moment leaves a database that opens, with
// every acknowledged change, whole, and nothing of those it was not done with
// but whole ones.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	var acknowledged []string
	const rounds = 12
	for range rounds {
		// Counted in acknowledgements, the moment differs in every round. With 0
		// the child dies while it opens the database.
		acknowledged = append(acknowledged, killAfter(t, path, rand.IntN(150))...)
		s := open(t, path)
		stored := contents(t, s)
		for _, name := range acknowledged {
			if !stored[name] {
				t.Errorf("%s was acknowledged and is not there", name)
			}
		}
		if unknown := len(stored) - len(acknowledged); unknown < 0 || unknown > 4*rounds {
			t.Errorf("got %d records, %d were acknowledged", len(stored), len(acknowledged))
		}
		closeStore(t, s)
	}
	if len(acknowledged) == 0 {
		t.Errorf("no change was acknowledged in %d rounds", rounds)
	}
}

// killAfter runs the child, kills it after n acknowledgements, and returns all
// that came.
func killAfter(t *testing.T, path string, n int) []string {
	t.Helper()
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedChild+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var names []string
	read := bufio.NewReader(out)
	for killed := false; ; {
		if len(names) >= n && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := read.ReadString('\n')
		if err == io.EOF {
			break // what is left is no whole line
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ok ")
		if !ok {
			t.Fatalf("child says %q", line)
		}
		names = append(names, name)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("child ended by itself: %v", err)
	}
	return names
}
