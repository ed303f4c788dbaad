package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server"
)

// TestMain is also the server process of tests that kill it, and of the
// benchmark: with the variable set the test binary serves until it is killed.
// Its value is a data folder, or bare for the handler that ours is compared
// with. SEALWRIGHT_TEST_STORE is its store and
// SEALWRIGHT_TEST_CONFIG its configuration file; SEALWRIGHT_TEST_HASTE makes it give
// up a database that is away within seconds.
func TestMain(m *testing.M) {
	data := os.Getenv("SEALWRIGHT_TEST_SERVE")
	if data == "" {
		os.Exit(m.Run())
	}
	ready := func(addr string) { fmt.Println("address", addr) }
	var err error
	switch data {
	case "bare":
		err = serveBare(ready)
	case "bare-grpc":
		err = serveBareGRPC(ready)
	default:
		c := server.Config{Listen: "127.0.0.1:0", Data: data, Store: os.Getenv("SEALWRIGHT_TEST_STORE"), ConfigFile: os.Getenv("SEALWRIGHT_TEST_CONFIG"), Ready: ready}
		if os.Getenv("SEALWRIGHT_TEST_HASTE") != "" {
			c = server.Hasten(c, hastyCurrent, hastyStale)
		}
		if os.Getenv("SEALWRIGHT_TEST_GRPC") != "" {
			c.GRPCListen = "127.0.0.1:0"
			c.GRPCReady = func(addr string) { err = os.WriteFile(filepath.Join(data, "grpc-address"), []byte(addr), 0o600) }
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = server.Run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// What SEALWRIGHT_TEST_HASTE stands for: when a node is no longer sure of what
// it does not know, and of what it knows.
const (
	hastyCurrent = 2 * time.Second
	hastyStale   = 6 * time.Second
)

// process is a server in its own process.
type process struct {
	*exec.Cmd
	url  string
	data string
}

// spawn starts a server in its own process, with its log in a file, and waits
// until it is ready.
func spawn(t testing.TB, data string, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{Cmd: exec.Command(exe)}
	p.Env = append(append(os.Environ(), "SEALWRIGHT_TEST_SERVE="+data), env...)
	p.Stderr = log
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			p.url = "http://" + addr
			return p
		}
	}
	_ = p.Wait()
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("the server did not start: %s", text)
	return nil
}

// run runs a server that must not start, and returns why.
func run(t *testing.T, c server.Config) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.Ready = func(string) {
		t.Error("the server started")
		cancel()
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	err := server.Run(ctx, c)
	if err == nil {
		t.Error("got no error")
	}
	return err
}

// files returns the content of every file below folder, by name.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
