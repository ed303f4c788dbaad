// Package tlsfiles serves TLS with certificates in files, which may be replaced
// while the server runs.
//
// New connections get what is in the files now; those that are open go on. If
// the files cannot be used, such as in the middle of a replacement, what was
// read last counts.
//
// Certificates of clients are verified by crypto/tls, at the start of a
// connection. Neither revocation lists nor OCSP are asked: a certificate that
// must not count any more is revoked by what it is mapped to.
package tlsfiles

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxFile is the most bytes of one file.
const maxFile = 1 << 20

// Config names the files, in PEM.
type Config struct {
	Cert       string // of the server, with what leads to its authority
	Key        string
	ClientCA   string // authorities of clients; empty means that clients are not asked for certificates
	MinVersion uint16 // 0 means TLS 1.2
}

// Files are the files as they were read last. Get one from [Open]. It may be
// used by many goroutines.
type Files struct {
	c      Config
	mu     sync.Mutex        // held while they are read
	digest [sha256.Size]byte // of all of them
	shown  atomic.Pointer[tls.Config]
}

// Open reads the files.
func Open(c Config) (*Files, error) {
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	f := &Files{c: c}
	_, err := f.Reload()
	return f, err
}

// Server returns what a listener needs: TLS 1.2 or newer, and HTTP/2.
func (f *Files) Server() *tls.Config {
	return &tls.Config{
		MinVersion: f.c.MinVersion, NextProtos: protocols(),
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.shown.Load(), nil },
	}
}

func protocols() []string { return []string{"h2", "http/1.1"} }

// Reload reads the files again, and reports whether they have changed. After an
// error what was read before counts.
func (f *Files) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var texts [3][]byte
	h := sha256.New()
	for i, path := range []string{f.c.Cert, f.c.Key, f.c.ClientCA} {
		if path == "" {
			continue
		}
		if texts[i], err = read(path); err != nil {
			return false, fmt.Errorf("tls: %w", err)
		}
		sum := sha256.Sum256(texts[i])
		h.Write(sum[:])
	}
	defer clear(texts[1])
	digest := [sha256.Size]byte(h.Sum(nil))
	if f.shown.Load() != nil && digest == f.digest {
		return false, nil
	}
	next, err := f.parse(texts[0], texts[1], texts[2])
	if err != nil {
		return false, fmt.Errorf("tls: %w", err)
	}
	f.digest = digest
	f.shown.Store(next)
	return true, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, err
}

func (f *Files) parse(cert, key, clientCA []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.c.Cert, f.c.Key, err)
	}
	next := &tls.Config{MinVersion: f.c.MinVersion, NextProtos: protocols(), Certificates: []tls.Certificate{pair}}
	if f.c.ClientCA == "" {
		return next, nil
	}
	next.ClientCAs = x509.NewCertPool()
	if !next.ClientCAs.AppendCertsFromPEM(clientCA) {
		return nil, errors.New(f.c.ClientCA + " has no certificate")
	}
	next.ClientAuth = tls.VerifyClientCertIfGiven
	// A session that is resumed would be one of the authorities of before.
	next.SessionTicketsDisabled = true
	return next, nil
}

// Expires returns when the certificate of the server expires.
func (f *Files) Expires() time.Time {
	return f.shown.Load().Certificates[0].Leaf.NotAfter
}

// Follow reads the files again every so often, and whenever something comes from
// now, until ctx ends. It reports what has changed, and each error once while it
// stays the same.
func (f *Files) Follow(ctx context.Context, every time.Duration, now <-chan os.Signal, report func(changed bool, err error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-now:
			last = ""
		}
		changed, err := f.Reload()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if changed || text != last {
			report(changed, err)
		}
		last = text
	}
}
