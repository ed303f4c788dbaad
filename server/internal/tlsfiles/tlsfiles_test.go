package tlsfiles_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/tlsfiles"
	"github.com/sealwright/sealwright/server/internal/tlsfiles/tlstest"
)

// house is a server that says the serial number of its client.
type house struct {
	*tlsfiles.Files
	tlsfiles.Config
	ca  *tlstest.CA
	url string
}

func newHouse(t *testing.T, edit func(*tlsfiles.Config)) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{ca: tlstest.NewCA(t), Config: tlsfiles.Config{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
	h.ca.Server(h.Cert, h.Key)
	if edit != nil {
		edit(&h.Config)
	}
	var err error
	if h.Files, err = tlsfiles.Open(h.Config); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
		}
	}))
	srv.Listener = tls.NewListener(srv.Listener, h.Server())
	srv.Start()
	t.Cleanup(srv.Close)
	h.url = strings.Replace(srv.URL, "http://", "https://", 1)
	return h
}

// client trusts the authorities.
func client(edit func(*tls.Config), authorities ...*tlstest.CA) *http.Client {
	c := &tls.Config{RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	for _, ca := range authorities {
		c.RootCAs.AppendCertsFromPEM(ca.PEM)
	}
	if edit != nil {
		edit(c)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c}}
}

func get(c *http.Client, url string) (string, error) {
	answer, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// A certificate that is replaced counts for new connections; the open one stays.
func TestReplace(t *testing.T) {
	h := newHouse(t, nil)
	old := client(nil, h.ca)
	if _, err := get(old, h.url); err != nil {
		t.Fatal(err)
	}
	if changed, err := h.Reload(); changed || err != nil {
		t.Errorf("nothing has changed: got %v, %v", changed, err)
	}
	next := tlstest.NewCA(t)
	next.Server(h.Cert, h.Key)
	if changed, err := h.Reload(); !changed || err != nil {
		t.Fatalf("got %v, %v", changed, err)
	}
	if _, err := get(client(nil, next), h.url); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if _, err := get(client(nil, h.ca), h.url); err == nil {
		t.Error("a new connection gets the old certificate")
	}
	if _, err := get(old, h.url); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	if left := time.Until(h.Expires()); left < 50*time.Minute || left > time.Hour {
		t.Errorf("ends in %v", left)
	}
}

// Whatever is wrong with new files, the old certificate goes on, and good ones
// count again.
func TestBrokenFiles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, *house)
	}{
		{"NoCert", func(t *testing.T, h *house) { remove(t, h.Cert) }},
		{"NoKey", func(t *testing.T, h *house) { remove(t, h.Key) }},
		{"NoAuthority", func(t *testing.T, h *house) { remove(t, h.ClientCA) }},
		{"EmptyCert", func(t *testing.T, h *house) { put(t, h.Cert, "") }},
		{"HalfWritten", func(t *testing.T, h *house) { put(t, h.Cert, "-----BEGIN CERTIFICATE-----\nMIIB") }},
		{"KeyOfAnother", func(t *testing.T, h *house) { h.ca.Server(filepath.Join(t.TempDir(), "cert"), h.Key) }},
		{"EmptyAuthority", func(t *testing.T, h *house) { put(t, h.ClientCA, "none") }},
		{"Huge", func(t *testing.T, h *house) { put(t, h.Cert, strings.Repeat("x", 1<<20+1)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, func(c *tlsfiles.Config) { c.ClientCA = tlstest.NewCA(t).File() })
			authority := h.ClientCA
			tt.spoil(t, h)
			if changed, err := h.Reload(); changed || err == nil {
				t.Errorf("got %v, %v", changed, err)
			}
			if _, err := get(client(nil, h.ca), h.url); err != nil {
				t.Errorf("the old certificate: %v", err)
			}
			if _, err := tlsfiles.Open(h.Config); err == nil {
				t.Error("opens")
			}
			h.ca.Server(h.Cert, h.Key)
			put(t, authority, string(h.ca.PEM))
			if changed, err := h.Reload(); !changed || err != nil {
				t.Errorf("good again: got %v, %v", changed, err)
			}
		})
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		name       string
		least      uint16
		of, most   uint16
		negotiated uint16 // 0 for none
	}{
		{"Newest", 0, tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS13},
		{"Oldest", 0, tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS12},
		{"TooOld", 0, tls.VersionTLS10, tls.VersionTLS11, 0},
		{"Raised", tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS13},
		{"TooOldForRaised", tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS12, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, func(c *tlsfiles.Config) { c.MinVersion = tt.least })
			conn, err := tls.Dial("tcp", strings.TrimPrefix(h.url, "https://"), &tls.Config{
				RootCAs: h.ca.Pool(), MinVersion: tt.of, MaxVersion: tt.most, NextProtos: []string{"h2"},
			})
			if (err == nil) != (tt.negotiated != 0) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			if s := conn.ConnectionState(); s.Version != tt.negotiated || s.NegotiatedProtocol != "h2" {
				t.Errorf("got version %x and %q", s.Version, s.NegotiatedProtocol)
			}
		})
	}
}

// Certificates of clients are taken if they lead to the authority that counts
// now, and none is needed.
func TestClients(t *testing.T) {
	authority := tlstest.NewCA(t)
	h := newHouse(t, func(c *tlsfiles.Config) { c.ClientCA = authority.File() })
	with := func(c tls.Certificate) *http.Client {
		return client(func(cfg *tls.Config) {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
		}, h.ca)
	}
	past := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	good := authority.Client(nil, "spiffe://example.com/a")
	keep := with(good)
	for _, tt := range []struct {
		name   string
		client *http.Client
		want   string
		ok     bool
	}{
		{"None", client(nil, h.ca), "", true},
		{"Good", keep, good.Leaf.SerialNumber.String(), true},
		{"OtherAuthority", with(tlstest.NewCA(t).Client(nil, "spiffe://example.com/a")), "", false},
		{"Expired", with(authority.Client(past)), "", false},
		{"NotYet", with(authority.Client(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})), "", false},
		{"OfServer", with(authority.Client(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := get(tt.client, h.url)
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	put(t, h.ClientCA, string(tlstest.NewCA(t).PEM))
	if changed, err := h.Reload(); !changed || err != nil {
		t.Fatalf("got %v, %v", changed, err)
	}
	keep.CloseIdleConnections() // a new one may resume nothing
	if got, err := get(keep, h.url); err == nil {
		t.Errorf("an authority that was removed: got %q", got)
	}
}

// Follow tells each change and each new error once, and at once when it is asked.
func TestFollow(t *testing.T) {
	h := newHouse(t, nil)
	type event struct {
		changed bool
		err     error
	}
	events, now := make(chan event), make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Follow(ctx, time.Millisecond, now, func(changed bool, err error) {
			select {
			case events <- event{changed, err}:
			case <-ctx.Done():
			}
		})
	}()
	wait := func(what string, changed bool, target error) {
		t.Helper()
		select {
		case e := <-events:
			if e.changed != changed || !errors.Is(e.err, target) {
				t.Errorf("%s: got %+v", what, e)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: nothing is reported", what)
		}
	}
	remove(t, h.Cert)
	wait("gone", false, fs.ErrNotExist)
	now <- syscall.SIGHUP
	wait("asked", false, fs.ErrNotExist)
	h.ca.Server(h.Cert+".new", h.Key+".new")
	for _, err := range []error{os.Rename(h.Key+".new", h.Key), os.Rename(h.Cert+".new", h.Cert)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wait("back", true, nil)
	cancel()
	<-done
}
