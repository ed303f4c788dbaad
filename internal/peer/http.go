package peer

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"testing"
	"time"
)

// freePort returns a port of this machine on which nobody listens now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// run runs a server until the test ends, and shows what it said if that fails.
func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, &output)
		}
	})
}

// await waits until a server answers with 200.
func await(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		check(t, err)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			check(t, resp.Body.Close())
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v", address, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// proxy returns the URL of a proxy in front of a server, and what takes it away.
func proxy(t testing.TB, address string) (at string, away func()) {
	t.Helper()
	target, err := url.Parse(address)
	check(t, err)
	p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	t.Cleanup(p.Close)
	return p.URL, func() {
		p.CloseClientConnections()
		p.Close()
	}
}
