//go:build unix

package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// superviseRedis runs the server until its own standard input ends, and kills
// it then, also while it is paused.
const superviseRedis = `"$@" & server=$!
echo $server >pid
exec >/dev/null 2>&1
(cat; kill -KILL $server) <&3 &
wait $server
kill $! 2>/dev/null
exit 0`

// RedisOptions say how a [Redis] runs. The zero value keeps nothing on disk.
type RedisOptions struct {
	AppendOnly bool     // keep every write, synced before it is answered
	Password   string   // of the default user; empty means none is asked for
	Replica    *Redis   // be a replica of this one
	Settings   []string // more arguments, such as --maxmemory-policy allkeys-lru
}

// Redis is a private Redis or Valkey, with maxmemory-policy noeviction if not
// said otherwise. It listens on a port of this machine, which stays the same,
// and on a unix socket.
type Redis struct {
	options RedisOptions
	program string
	dir     string
	port    int

	command *exec.Cmd
	input   io.Closer
}

// StartRedis starts a new Redis until the test ends. Its program is the one that
// SEALWRIGHT_REDIS names, or redis-server or valkey-server on PATH.
func StartRedis(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	program, err := findRedis()
	if err != nil {
		Missing(t, err.Error())
	}
	r := &Redis{options: o, program: program}
	r.dir, err = os.MkdirTemp("", "sealwright-redis") // short: the path of a socket has at most 107 bytes
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(r.dir)) })
	r.port, err = freePort()
	check(t, err)
	t.Cleanup(func() { r.Crash(t) })
	r.Start(t)
	return r
}

func findRedis() (string, error) {
	if path := os.Getenv("SEALWRIGHT_REDIS"); path != "" {
		return path, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("needs Redis or Valkey (redis-server or valkey-server on PATH, or SEALWRIGHT_REDIS), which make test installs")
}

func (r *Redis) arguments() []string {
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--unixsocket", r.Socket(), "--dir", r.dir,
		"--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0",
	}
	if r.options.AppendOnly {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if r.options.Password != "" {
		args = append(args, "--requirepass", r.options.Password)
	}
	if p := r.options.Replica; p != nil {
		args = append(args, "--replicaof", "127.0.0.1 "+strconv.Itoa(p.port))
	}
	return append(args, r.options.Settings...)
}

// Start starts the server again after a [Redis.Crash], and returns when it
// answers. What it kept is on disk or lost, as the options say.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	alive, input, err := os.Pipe()
	check(t, err)
	defer alive.Close()
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(t, err)
	defer log.Close()
	_ = os.Remove(filepath.Join(r.dir, "pid")) // of the last one
	c := exec.Command("sh", append([]string{"-c", superviseRedis, "sh", r.program}, r.arguments()...)...)
	c.Dir, c.Stdout, c.Stderr, c.ExtraFiles = r.dir, log, log, []*os.File{alive}
	check(t, c.Start())
	r.command, r.input = c, input
	deadline := time.Now().Add(startTimeout)
	for !r.answers() {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("Redis does not answer:\n%s", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answers reports whether the server has loaded its data: with a password it
// answers so only then.
func (r *Redis) answers() bool {
	conn, err := net.DialTimeout("tcp", r.Address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	request := "PING\r\n"
	if r.options.Password != "" {
		request = "AUTH " + r.options.Password + "\r\nPING\r\n"
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return false
	}
	var answer [64]byte
	got := ""
	for !strings.Contains(got, "+PONG") && !strings.Contains(got, "-") {
		n, err := conn.Read(answer[:])
		if err != nil {
			return false
		}
		got += string(answer[:n])
	}
	return strings.Contains(got, "+PONG")
}

// Crash kills the server as a loss of power does, also while it is paused, and
// returns when it is gone.
func (r *Redis) Crash(t testing.TB) {
	t.Helper()
	if r.command == nil {
		return
	}
	check(t, r.input.Close())
	check(t, r.command.Wait())
	r.command = nil
}

// Pause stops the server without closing anything, as a machine that hangs.
func (r *Redis) Pause(t testing.TB) { r.signal(t, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume(t testing.TB) { r.signal(t, syscall.SIGCONT) }

func (r *Redis) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "pid"))
	check(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check(t, err)
	check(t, syscall.Kill(pid, s))
}

// Address returns host and port.
func (r *Redis) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// Socket returns the path of the unix socket.
func (r *Redis) Socket() string { return filepath.Join(r.dir, "redis.sock") }

// URL returns the URL of the server, without a password.
func (r *Redis) URL() string { return "redis://" + r.Address() }

// Promote makes a replica a server of its own, as a failover does.
func (r *Redis) Promote(t testing.TB) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.Address(), startTimeout)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(startTimeout)))
	_, err = io.WriteString(conn, "REPLICAOF NO ONE\r\n")
	check(t, err)
	var answer [5]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || string(answer[:]) != "+OK\r\n" {
		t.Fatalf("promote: got %q, %v", answer, err)
	}
}
