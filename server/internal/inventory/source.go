package inventory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// timeout bounds one reading over HTTP.
const timeout = 10 * time.Second

// Options say where a catalogue is. File or URL must be set, not both.
type Options struct {
	File string
	URL  string // https, or http on this machine

	// Token returns a bearer token to send with each request; nil means none.
	Token  func() (secret.Bytes, error)
	CAFile string // PEM of who signed the certificate of URL; empty means the system's

	Every time.Duration // between two readings
	Alarm func(error)   // told of each change from well to ill and back (nil); nil means nobody
}

// Source is a catalogue that is read again and again. Get one from [Open]. It
// may be used by many goroutines.
type Source struct {
	o      Options
	client *http.Client
	tag    string // ETag of what is shown; of who reads

	shown  atomic.Pointer[Catalogue] // nil before one was read
	mu     sync.Mutex
	ill    error     // why the last reading failed; under mu
	goodAt time.Time // when the last one did not; under mu
}

// Open reads the catalogue for the first time. A file that cannot be read or
// parsed is an error, since it is part of the configuration; a service that is
// away is not: [Source.Run] goes on trying.
func Open(ctx context.Context, o Options) (*Source, error) {
	s := &Source{o: o}
	if s.o.Alarm == nil {
		s.o.Alarm = func(error) {}
	}
	if o.URL != "" {
		if err := source.CheckURL(o.URL); err != nil {
			return nil, fmt.Errorf("data catalogue: %w", err)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		if o.CAFile != "" {
			pool, err := readPool(o.CAFile)
			if err != nil {
				return nil, fmt.Errorf("data catalogue: %w", err)
			}
			transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
		s.client = &http.Client{
			Timeout: timeout, Transport: transport, // a redirect would carry the token to another place
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if err := s.Read(ctx); err != nil && o.File != "" {
		return nil, err
	}
	return s, nil
}

func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// Run reads the catalogue again and again until ctx ends.
func (s *Source) Run(ctx context.Context) {
	ticker := time.NewTicker(s.o.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.Read(ctx) // the alarm has it
		}
	}
}

// Read reads the catalogue now. One goroutine at a time calls it. After an error
// the last good one is in use.
func (s *Source) Read(ctx context.Context) error {
	text, tag, err := s.fetch(ctx)
	var c *Catalogue
	if err == nil && text != nil {
		if c, err = Parse(text); err == nil {
			s.shown.Store(c)
			s.tag = tag
		}
	}
	s.mu.Lock()
	was := s.ill
	if s.ill = err; err == nil {
		s.goodAt = time.Now()
	}
	s.mu.Unlock()
	if (was == nil) != (err == nil) {
		s.o.Alarm(err)
	}
	return err
}

// fetch returns nothing for what has not changed.
func (s *Source) fetch(ctx context.Context) (text []byte, tag string, err error) {
	if s.o.File != "" {
		f, err := os.Open(s.o.File)
		if err != nil {
			return nil, "", fmt.Errorf("read data catalogue: %w", err)
		}
		defer f.Close()
		text, err := readAll(f)
		return text, "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.URL, nil)
	if err != nil {
		return nil, "", errors.New("read data catalogue: the URL cannot be used")
	}
	if s.tag != "" {
		r.Header.Set("If-None-Match", s.tag)
	}
	if s.o.Token != nil {
		token, err := s.o.Token()
		if err != nil {
			return nil, "", fmt.Errorf("read data catalogue: token: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+string(token.Expose()))
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, "", fmt.Errorf("read data catalogue: %w", err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && s.tag != "":
		return nil, "", nil
	case answer.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("read data catalogue: the server answers %s", answer.Status)
	}
	text, err = readAll(answer.Body)
	return text, answer.Header.Get("ETag"), err
}

func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read data catalogue: %w", err)
	}
	if text == nil {
		text = []byte{} // empty is something else than unchanged
	}
	return text, nil
}

// Classes is [Catalogue.Classes] of the catalogue that was read last. The error
// is of kind [fault.Unavailable] before there is one.
func (s *Source) Classes(resource string) ([]string, error) {
	c := s.shown.Load()
	if c == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "the data catalogue could not be read yet, so the classes of this resource are not known").Because(s.ill)
	}
	return c.Classes(resource), nil
}

// Notice says since when the catalogue cannot be read; it is empty while nothing
// is wrong.
func (s *Source) Notice() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ill == nil:
		return ""
	case s.goodAt.IsZero():
		return "the data catalogue could not be read yet; see the log"
	}
	return fmt.Sprintf("the data catalogue cannot be read since %s, the one before is used; see the log", s.goodAt.UTC().Format(time.RFC3339))
}
