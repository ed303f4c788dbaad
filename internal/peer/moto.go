package peer

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Moto is a moto_server, a double of AWS.
type Moto struct {
	URL string
}

// StartMoto starts moto on a free port, until the test ends, and sets the
// environment so that the AWS SDK finds credentials and a region.
func StartMoto(t testing.TB) *Moto {
	t.Helper()
	path := findMoto(t)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	check(t, l.Close())
	var output bytes.Buffer
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	cmd.Stdout, cmd.Stderr = &output, &output
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("moto: %s", &output)
		}
	})
	m := &Moto{URL: "http://127.0.0.1:" + port}
	m.wait(t)
	return m
}

// findMoto returns moto_server as make test installs it, or that of PATH.
func findMoto(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	check(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".cache/moto/bin/moto_server")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		Missing(t, "needs moto_server (Python package moto[server]), which make test installs in .cache/moto")
	}
	return path
}

// wait waits until moto answers.
func (m *Moto) wait(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL+"/moto-api/", nil)
		check(t, err)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			check(t, resp.Body.Close())
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("moto does not answer: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Proxy returns the URL of a proxy in front of m, and what takes it away.
func (m *Moto) Proxy(t testing.TB) (address string, away func()) {
	t.Helper()
	target, err := url.Parse(m.URL)
	check(t, err)
	p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	t.Cleanup(p.Close)
	return p.URL, func() {
		p.CloseClientConnections()
		p.Close()
	}
}
