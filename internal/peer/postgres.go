//go:build unix

package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the role of URLs. The server trusts whoever can reach its
// socket, which is in a folder that is closed to others.
const superuser = "sealwright"

// supervise runs a server until its own standard input ends, so that no server
// outlives a test that was killed. Its first argument is the signal that ends it.
const supervise = `signal=$1; shift
"$@" & server=$!
exec >/dev/null 2>&1
(cat; kill -$signal $server) <&3 &
wait $server
status=$?
kill $! 2>/dev/null
exit $status`

// Postgres is a private PostgreSQL with fsync on. It listens on a unix socket
// only.
type Postgres struct {
	bin, dir   string
	credential *syscall.Credential // whom it runs as; nil for the caller
	databases  atomic.Int64

	command *exec.Cmd
	input   io.Closer
	paused  []int // IDs of processes
}

// StartPostgres starts a new PostgreSQL until the test ends. Its programs are
// in the folder that SEALWRIGHT_POSTGRES_BIN names, on PATH, or where Debian
// puts them. PostgreSQL refuses to run as root, so root runs it as postgres or
// nobody.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	bin, err := findPostgres()
	if err != nil {
		Missing(t, err.Error())
	}
	p := &Postgres{bin: bin}
	p.dir, err = os.MkdirTemp("", "sealwright-pg") // short: the path of a socket has at most 107 bytes
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(p.dir)) })
	if os.Geteuid() == 0 {
		p.credential, err = unprivileged()
		check(t, err)
		check(t, os.Chown(p.dir, int(p.credential.Uid), int(p.credential.Gid)))
	}
	initdb := p.program("initdb", "-D", p.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(func() { p.Crash(t) })
	p.Start(t)
	return p
}

// findPostgres returns the folder with the programs of the server.
func findPostgres() (string, error) {
	if dir := os.Getenv("SEALWRIGHT_POSTGRES_BIN"); dir != "" {
		return dir, nil
	}
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, path)
	}
	if len(candidates) == 0 {
		return "", errors.New("needs PostgreSQL (initdb on PATH, in /usr/lib/postgresql or in SEALWRIGHT_POSTGRES_BIN), which make test installs")
	}
	path, err := filepath.EvalSymlinks(candidates[len(candidates)-1]) // the others are beside it
	return filepath.Dir(path), err
}

func unprivileged() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) program(name string, args ...string) *exec.Cmd {
	return p.as(exec.Command(filepath.Join(p.bin, name), args...))
}

func (p *Postgres) as(c *exec.Cmd) *exec.Cmd {
	c.Dir = p.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	return c
}

// Start starts the server again after a [Postgres.Crash], and returns when it
// answers.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	alive, input, err := os.Pipe()
	check(t, err)
	defer alive.Close()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(t, err)
	defer log.Close()
	c := p.as(exec.Command("sh", "-c", supervise, "sh", "QUIT", filepath.Join(p.bin, "postgres"), "-D", p.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+p.dir, "-c", "shared_buffers=16MB"))
	c.Stdout, c.Stderr, c.ExtraFiles = log, log, []*os.File{alive}
	check(t, c.Start())
	p.command, p.input = c, input
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			check(t, conn.Close(ctx))
			return
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("PostgreSQL does not answer: %v\n%s", err, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Crash stops the server as pg_ctl does in mode immediate: no transaction ends
// properly, and the next start recovers from the log. It returns when the
// server is gone.
func (p *Postgres) Crash(t testing.TB) {
	t.Helper()
	if p.command == nil {
		return
	}
	p.Resume(t)
	check(t, p.input.Close())
	_ = p.command.Wait() // an immediate stop is an exit code of its own
	p.command = nil
	for p.running() {
		time.Sleep(5 * time.Millisecond)
	}
}

// running reports whether the server's first process is there. The file with
// its ID stays behind after a crash.
func (p *Postgres) running() bool {
	pid, err := p.pid()
	return err == nil && syscall.Kill(pid, 0) == nil
}

// pid returns the ID of the server's first process.
func (p *Postgres) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(line)
}

// Pause stops every process of the server by SIGSTOP: connections stay open,
// new ones are taken by the kernel, and nobody answers. [Postgres.Resume] and
// [Postgres.Crash] end that.
func (p *Postgres) Pause(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	check(t, err)
	first, err := p.pid()
	check(t, err)
	check(t, syscall.Kill(first, syscall.SIGSTOP)) // from here on it starts no others
	p.paused = []int{first}
	rows, err := conn.Query(t.Context(), `SELECT pid FROM pg_stat_activity`)
	check(t, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	check(t, err)
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); !errors.Is(err, syscall.ESRCH) { // one may have ended
			check(t, err)
			p.paused = append(p.paused, pid)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = conn.Close(ended) // nobody answers
}

// Resume lets a server go on after a [Postgres.Pause].
func (p *Postgres) Resume(t testing.TB) {
	t.Helper()
	for _, pid := range p.paused {
		check(t, syscall.Kill(pid, syscall.SIGCONT))
	}
	p.paused = nil
}

// Kill ends every process of the server by SIGKILL, and returns when the server
// is gone. [Postgres.Start] starts it again.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	p.Pause(t) // so that the list of processes is complete
	all := p.paused
	for _, pid := range all {
		check(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	p.paused = nil
	p.Crash(t)
	for deadline := time.Now().Add(startTimeout); slices.ContainsFunc(all, alive); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) { // one would keep the next start from the shared memory
			t.Fatal("a process of PostgreSQL is there after SIGKILL")
		}
	}
}

// alive reports whether there is a process that has not ended. One that has, and
// whose parent has not asked, counts as gone where /proc says so.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// Socket returns the path of the unix socket.
func (p *Postgres) Socket() string { return filepath.Join(p.dir, ".s.PGSQL.5432") }

// URL returns the URL of a database.
func (p *Postgres) URL(database string) string {
	q := url.Values{"host": {p.dir}, "user": {superuser}}
	return "postgres:///" + database + "?" + q.Encode()
}

// NewDatabase returns the URL of a new and empty database.
func (p *Postgres) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", p.databases.Add(1))
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	check(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name)
	check(t, errors.Join(err, conn.Close(t.Context())))
	return p.URL(name)
}
