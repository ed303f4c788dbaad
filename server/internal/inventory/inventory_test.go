package inventory_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/inventory"
)

const orders = `
resources:
  orders.payments: [financial, pii]
  orders.*: [internal, pii]
  hr.*: [pii]
  "*": [company]
  orders.empty: []
`

func TestClasses(t *testing.T) {
	c, err := inventory.Parse([]byte(orders))
	if err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[string][]string{
		"orders.payments":  {"company", "financial", "internal", "pii"},
		"orders.payments2": {"company", "internal", "pii"},
		"orders.":          {"company", "internal", "pii"},
		"orders":           {"company"},
		"hr.salaries":      {"company", "pii"},
		"orders.empty":     {"company", "internal", "pii"},
		"":                 {"company"},
	} {
		if diff := cmp.Diff(want, c.Classes(resource), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("classes of %q (-want +got):\n%s", resource, diff)
		}
	}
	if c.Len() != 5 {
		t.Errorf("Len: got %d, want 5", c.Len())
	}
	var none *inventory.Catalogue
	if none.Classes("a") != nil || none.Len() != 0 {
		t.Error("no catalogue has classes")
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"Empty", "", "EOF"},
		{"UnknownName", "resource: {}", "line 1: field resource not found"},
		{"Twice", "resources:\n  a: [x]\n  a: [y]", `line 3: mapping key "a" already defined`},
		{"TwoDocuments", "resources: {}\n---\nresources: {}", "more than one document"},
		{"NotAList", "resources:\n  a: {b: c}", "line 2"},
		{"StarInside", "resources: {a*b: [x]}", "with * at the end only"},
		{"NoName", `resources: {"": [x]}`, "with * at the end only"},
		{"EmptyClass", `resources: {a: [""]}`, "classes[0]: got 0 bytes"},
		{"ClassTwice", `resources: {a: [x, x]}`, "classes[1]: stands twice"},
		{"LongName", `resources: {` + strings.Repeat("a", 257) + `: [x]}`, "resource: got 257 bytes"},
		{"Large", strings.Repeat("#", inventory.MaxBytes+1), "want at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := inventory.Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "struct") {
				t.Errorf("Parse: got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data.yaml")
	if _, err := inventory.Open(t.Context(), inventory.Options{File: file}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open without a file: got %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("resources: {a: [x]}")
	var alarms []error
	s, err := inventory.Open(t.Context(), inventory.Options{File: file, Alarm: func(err error) { alarms = append(alarms, err) }})
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		if got, err := s.Classes("a"); err != nil || strings.Join(got, " ") != want {
			t.Errorf("classes: got %q, %v, want %s", got, err, want)
		}
	}
	check("x")
	write("resources: {a: [y]")
	for range 2 {
		if err := s.Read(t.Context()); err == nil || !strings.Contains(s.Notice(), "the one before is used") {
			t.Errorf("Read of a broken file: got %v, notice %q", err, s.Notice())
		}
	}
	check("x")
	write("resources: {a: [z]}")
	if err := s.Read(t.Context()); err != nil || s.Notice() != "" {
		t.Errorf("Read: got %v, notice %q", err, s.Notice())
	}
	check("z")
	if len(alarms) != 2 || alarms[0] == nil || alarms[1] != nil {
		t.Errorf("alarms: got %v, want one and its end", alarms)
	}
}

// service is a catalogue over HTTPS, with its certificate in a file.
func service(t *testing.T, h http.HandlerFunc) inventory.Options {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return inventory.Options{URL: srv.URL, CAFile: file}
}

func TestHTTP(t *testing.T) {
	var status, sent atomic.Int64
	var seen atomic.Value
	status.Store(http.StatusServiceUnavailable)
	o := service(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		if status.Load() != http.StatusOK {
			http.Redirect(w, r, "/elsewhere", int(status.Load()))
			return
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent.Add(1)
		_, _ = w.Write([]byte(`{"resources":{"a":["x"]}}`))
	})
	o.Token = func() (secret.Bytes, error) { return secret.FromString("t0ken"), nil }
	s, err := inventory.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open while the service is away: %v", err)
	}
	if _, err := s.Classes("a"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(s.Notice(), "could not be read yet") {
		t.Errorf("Classes before there is a catalogue: got %v, notice %q", err, s.Notice())
	}
	status.Store(http.StatusOK)
	for range 3 {
		if err := s.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Classes("a"); err != nil || len(got) != 1 || sent.Load() != 1 || seen.Load() != "Bearer t0ken" {
		t.Errorf("got %q, %v, sent %d times, with %v", got, err, sent.Load(), seen.Load())
	}
	status.Store(http.StatusFound) // the token must not follow
	if err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("Read of a redirect: got %v", err)
	}
	if got, err := s.Classes("a"); err != nil || len(got) != 1 {
		t.Errorf("after an error: got %q, %v, want the last good one", got, err)
	}
}

func TestHTTPRefuses(t *testing.T) {
	large := service(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, inventory.MaxBytes+2))
	})
	s, err := inventory.Open(t.Context(), large)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("Read of too much: got %v", err)
	}
	large.CAFile = ""
	if s, err = inventory.Open(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Read from whom nobody knows: got %v", err)
	}
	for _, url := range []string{"http://catalogue.example/data", "ftp://127.0.0.1/", "https://user:password@127.0.0.1/"} {
		if _, err := inventory.Open(t.Context(), inventory.Options{URL: url}); err == nil || strings.Contains(err.Error(), "password@") {
			t.Errorf("Open %s: got %v", url, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the end: got %v", err)
	}
}

// TestRun reads until it is stopped.
func TestRun(t *testing.T) {
	read := make(chan struct{})
	o := service(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case read <- struct{}{}:
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte("resources: {}"))
	})
	o.Every = 1
	opened := make(chan *inventory.Source)
	go func() {
		s, err := inventory.Open(context.Background(), o)
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	<-read
	s := <-opened
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(ended)
	}()
	<-read
	<-read
	cancel()
	<-ended
}
