//go:build unix

package postgres_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
)

// fate is what a proxy does with the next COMMIT.
type fate int32

const (
	pass       fate = iota
	loseIt          // the server never sees it
	loseAnswer      // the client never sees that it is done
	swallow         // the answer never comes, and the connection stays
)

// proxy stands between a store and PostgreSQL.
type proxy struct {
	server string
	next   atomic.Int32
	gone   atomic.Bool // nothing passes; what is swallowed does not come back
}

// startProxy returns a proxy and the URL of a new database behind it.
func startProxy(t *testing.T, p *peer.Postgres) (*proxy, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") // short, see peer
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	x := &proxy{server: p.Socket()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go x.serve(client)
		}
	}()
	u, err := url.Parse(p.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return x, u.String()
}

func (x *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", x.server)
	if err != nil {
		return
	}
	defer server.Close()
	var silent, mute atomic.Bool
	go func() { // answers
		defer client.Close()
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || silent.Load() {
				return // the server has answered, so the COMMIT is done
			}
			if mute.Load() || x.gone.Load() {
				continue
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			switch fate(x.next.Swap(int32(pass))) {
			case loseIt:
				return
			case loseAnswer:
				silent.Store(true)
			case swallow:
				mute.Store(true)
			}
		}
		if x.gone.Load() {
			continue
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Every write is broken both ways: not stored, and stored but the answer lost.
// It is told rightly what happened.
func testCommitBreaks(t *testing.T, p *peer.Postgres) {
	x, address := startProxy(t, p)
	s := open(t, address)
	at := time.Unix(1, 0).UTC()
	lease := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour)}
	log := func() int {
		t.Helper()
		entries, err := s.Tail(t.Context(), 0, store.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for _, tt := range []struct {
		name   string
		write  func() error
		stored func() bool
	}{{
		name:  "Commit",
		write: func() error { _, err := s.Commit(t.Context(), change("a")); return err },
		stored: func() bool {
			_, err := s.Load(t.Context(), "t", "k", "a")
			return err == nil && log() == 1
		},
	}, {
		name:  "PutLease",
		write: func() error { return s.PutLease(t.Context(), lease, change("a").Entries[0]) },
		stored: func() bool {
			_, err := s.Lease(t.Context(), "t", "k", "l")
			return err == nil && log() == 2
		},
	}, {
		name: "AddUses",
		write: func() error {
			return s.AddUses(t.Context(), []store.Use{{Tenant: "t", Name: "a", Count: 1, LastAt: at}})
		},
		stored: func() bool {
			uses, err := s.Uses(t.Context(), "t", "a")
			return err == nil && len(uses) == 1 && uses[0].Count == 1
		},
	}} {
		x.next.Store(int32(loseIt))
		before := log()
		if err := tt.write(); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s, not stored: got %v, want kind unavailable, and not that it is unknown", tt.name, err)
		}
		if tt.stored() || log() != before {
			t.Errorf("%s, not stored: it is", tt.name)
		}
		x.next.Store(int32(loseAnswer))
		if err := tt.write(); err != nil || !tt.stored() {
			t.Errorf("%s, stored but the answer was lost: got %v, stored: %v", tt.name, err, tt.stored())
		}
		if fate(x.next.Load()) != pass {
			t.Errorf("%s: the proxy saw no COMMIT", tt.name)
		}
	}
}

// What became of a transaction is known by its token, whatever the server says
// of its number: after a crash it may not have given it yet, or to another one.
func testSettle(t *testing.T, p *peer.Postgres) {
	address := p.NewDatabase(t)
	s := open(t, address)
	conn := raw(t, address)
	exec(t, conn, `INSERT INTO outcomes (token) VALUES ('stored')`)
	var id string
	if err := conn.QueryRow(t.Context(), `SELECT pg_current_xact_id()::text`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("answer lost")
	for name, number := range map[string]string{"InTheFuture": "9000000000000000000", "OfAnother": id, "TooOld": "3"} {
		err := s.Settle("lost", number, cause)
		if !errors.Is(err, fault.Unavailable) || !errors.Is(err, cause) || strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s, not stored: got %v, want kind unavailable, and not that it is unknown", name, err)
		}
		if err := s.Settle("stored", number, cause); err != nil {
			t.Errorf("%s, stored: got %v", name, err)
		}
	}
}

// A write that breaks in the middle of a change stores nothing of it.
func testWriteBreaks(t *testing.T, p *peer.Postgres) {
	for _, table := range []string{"records", "entries"} {
		for _, when := range []string{"CREATE TRIGGER broken AFTER INSERT", "CREATE CONSTRAINT TRIGGER broken AFTER INSERT"} {
			address := p.NewDatabase(t)
			s := open(t, address)
			deferred := ""
			if strings.Contains(when, "CONSTRAINT") {
				deferred = "DEFERRABLE INITIALLY DEFERRED" // COMMIT itself fails
			}
			conn := raw(t, address)
			exec(t, conn, fmt.Sprintf(`CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END';
				%s ON %s %s FOR EACH ROW WHEN (NEW.name LIKE 'bad%%') EXECUTE FUNCTION break()`, when, table, deferred))
			_, err := s.Commit(t.Context(), change("bad"))
			if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "broken") {
				t.Errorf("%s %s: got %v", when, table, err)
			}
			commit(t, s, "good")
			exec(t, conn, `DROP TRIGGER broken ON `+table)
			commit(t, s, "bad")
			if got := contents(t, s); len(got) != 2 {
				t.Errorf("%s %s: got records %v", when, table, got)
			}
		}
	}
}

// The server crashes while changes are committed: what was told is what is
// stored, and the store goes on afterwards.
func TestServerCrashes(t *testing.T) {
	p := peer.StartPostgres(t)
	s := open(t, p.NewDatabase(t))
	var mu sync.Mutex
	told := map[string]error{}
	for round := range 3 {
		acknowledged := make(chan bool, 1<<16)
		stop := make(chan bool)
		var group sync.WaitGroup
		for w := range 4 {
			group.Go(func() {
				for i := 0; i < 60; i++ {
					select {
					case <-stop:
						return
					default:
					}
					name := fmt.Sprintf("%d-%d-%d", round, w, i)
					_, err := s.Commit(t.Context(), change(name))
					mu.Lock()
					told[name] = err
					mu.Unlock()
					if err == nil {
						acknowledged <- true
					} else {
						return
					}
				}
			})
		}
		for range 10 + 20*round {
			<-acknowledged
		}
		p.Crash(t)
		close(stop)
		p.Start(t)
		group.Wait()
		stored := contents(t, s)
		for name, err := range told {
			if stored[name] != (err == nil) {
				t.Errorf("%s: told %v, stored: %v", name, err, stored[name])
			}
		}
	}
}

// killedChild is the variable that turns TestMain into the child of testKill;
// its value is the URL of the database.
const killedChild = "SEALWRIGHT_TEST_KILLED_CHILD"

func TestMain(m *testing.M) {
	if address := os.Getenv(killedChild); address != "" {
		fmt.Println(writeForever(address))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever prints each change and each use of the lease "l" as soon as it
// is acknowledged.
func writeForever(address string) error {
	ctx, process := context.Background(), os.Getpid()
	s, err := postgres.Open(ctx, address, postgres.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", process, w, i)
				_, err := s.Commit(ctx, change(name))
				ok, spendErr := s.SpendLease(ctx, "t", "k", "l", time.Unix(1, 0))
				if err != nil || spendErr != nil || !ok {
					failed <- fmt.Errorf("%w, %v, %v", err, ok, spendErr)
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

// Processes that write at the same time and are killed at any moment leave every
// acknowledged change, whole, and every use of a lease that they were granted.
func testKill(t *testing.T, p *peer.Postgres) {
	address := p.NewDatabase(t)
	s := open(t, address)
	at := time.Unix(1, 0).UTC()
	lease := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour), MaxUses: 1 << 30}
	if err := s.PutLease(t.Context(), lease, change("lease").Entries[0]); err != nil {
		t.Fatal(err)
	}
	exec(t, raw(t, address), `DELETE FROM entries; UPDATE log_head SET seq = 0`) // so that contents can compare
	closeStore(t, s)
	granted := 0
	var acknowledged []string
	for _, after := range []int{1, 7, 40} {
		other := make(chan []string)
		go func() { other <- killAfter(t, address, 20) }()
		names := append(killAfter(t, address, after), <-other...)
		granted += len(names)
		acknowledged = append(acknowledged, names...)
		s := open(t, address)
		stored := contents(t, s)
		for _, name := range acknowledged {
			if !stored[name] {
				t.Errorf("%s was acknowledged and is not there", name)
			}
		}
		if l, err := s.Lease(t.Context(), "t", "k", "l"); err != nil || l.Used < int64(granted) {
			t.Errorf("lease: got %d uses, %v, %d were granted", l.Used, err, granted)
		}
		closeStore(t, s)
	}
}

// killAfter runs a child, kills it after n acknowledgements, and returns all
// that it printed.
func killAfter(t *testing.T, address string, n int) (names []string) {
	exe, err := os.Executable()
	if err != nil {
		t.Error(err)
		return nil
	}
	c := osexec.Command(exe)
	c.Env = append(os.Environ(), killedChild+"="+address)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "ok ")
		if !ok {
			t.Errorf("the child ended: %s", lines.Text())
		}
		names = append(names, name)
		if len(names) == n {
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = c.Wait()
	return names
}
