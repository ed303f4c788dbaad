// Package servertest starts a real server for tests.
package servertest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
)

// Server is a running server. It is stopped at the end of its test.
type Server struct {
	URL   string       // such as http://127.0.0.1:12345
	GRPC  string       // address of the gRPC API, empty if there is none
	Token secret.Bytes // the admin token
	Data  string       // the data folder
	Log   *Buffer      // what it has logged, complete after Stop
	Out   *Buffer      // what it has printed for the person who starts it

	stop func() error
}

// Start starts a server on a free port of 127.0.0.1 with a temporary data
// folder. The test fails if the server does not start, or does not stop well.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartConfig(t, server.Config{})
}

// StartConfig is [Start] with the settings of c; Listen, Data and the writers
// have the defaults of a test if c leaves them out.
func StartConfig(t testing.TB, c server.Config) *Server {
	t.Helper()
	s := &Server{Log: &Buffer{}, Out: &Buffer{}}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Data == "" {
		c.Data = t.TempDir()
	}
	if c.Stderr == nil {
		c.Stderr = s.Log
	}
	if c.Stdout == nil {
		c.Stdout = s.Out
	}
	s.Data = c.Data
	address, ended := make(chan string, 1), make(chan error, 1)
	c.GRPCReady = func(a string) { s.GRPC = a } // before Ready
	c.Ready = func(a string) { address <- a }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- server.Run(ctx, c) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stop server: %v", err)
		}
	})
	select {
	case a := <-address:
		s.URL = "http://" + a
	case err := <-ended:
		ended <- nil
		t.Fatalf("start server: %v", err)
	}
	token, err := os.ReadFile(filepath.Join(c.Data, "admin-token"))
	if err != nil {
		t.Fatalf("read token: %v", err)
	}
	s.Token = secret.New(bytes.TrimSuffix(token, []byte("\n")))
	return s
}

// Stop stops the server as SIGTERM does, and returns what it returned.
func (s *Server) Stop() error { return s.stop() }

// Do sends a request with the admin token and returns the status, the header
// and the body. A body that is not empty is sent as JSON.
func (s *Server) Do(t testing.TB, method, path, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+string(s.Token.Expose()))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// Buffer is a bytes.Buffer for many goroutines.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
