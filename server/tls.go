package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sealwright/sealwright/server/internal/tlsfiles"
)

// TLSFile says with which certificate the server speaks TLS, and whose client
// certificates it takes. Without Cert it speaks plain HTTP.
type TLSFile struct {
	Cert       Setting `yaml:"cert"`
	Key        Setting `yaml:"key"`
	ClientCA   Setting `yaml:"client_ca"`
	MinVersion Setting `yaml:"min_version"` // 1.2 (default) or 1.3
}

// lookEvery is how often the files are looked at; SIGHUP does it at once.
const lookEvery = 10 * time.Second

func (s *settings) tls(f TLSFile) tlsfiles.Config {
	if f == (TLSFile{}) {
		return tlsfiles.Config{}
	}
	c := tlsfiles.Config{Cert: s.text("tls.cert", "", f.Cert, ""), Key: s.text("tls.key", "", f.Key, ""), ClientCA: s.text("tls.client_ca", "", f.ClientCA, "")}
	for name, from := range map[string]Setting{"tls.cert": f.Cert, "tls.key": f.Key} {
		if from.Line == 0 {
			s.check(name, from, errors.New("is missing"))
		}
	}
	c.MinVersion = tls.VersionTLS12
	if s.choice("tls.min_version", "", f.MinVersion, "1.2", "1.3") == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	return c
}

// secure is how a server listens. The zero value is plain HTTP.
type secure struct{ files *tlsfiles.Files }

// openTLS reads the certificates, if there are any.
func openTLS(c tlsfiles.Config) (secure, error) {
	if c.Cert == "" {
		return secure{}, nil
	}
	files, err := tlsfiles.Open(c)
	return secure{files}, err
}

// serve is [http.Server.Serve].
func (s secure) serve(srv *http.Server, l net.Listener) error {
	if s.files == nil {
		return srv.Serve(l)
	}
	srv.TLSConfig = s.files.Server()
	return srv.ServeTLS(l, "", "")
}

func (s secure) scheme() string {
	if s.files == nil {
		return "http"
	}
	return "https"
}

// soon is how long before its end a certificate is warned about.
const soon = 7 * 24 * time.Hour

// follow reads the files again when they have changed, and at every SIGHUP,
// until the function that it returns is called.
func (s secure) follow(ctx context.Context, log *slog.Logger) (stop func()) {
	if s.files == nil {
		return func() {}
	}
	about := func(changed bool, err error) {
		end := s.files.Expires()
		switch {
		case err != nil:
			log.Error("certificate not replaced, the server goes on with the one that it has", "error", err.Error(), "expires_at", end)
		case changed:
			log.Info("certificate replaced", "expires_at", end)
		}
		if time.Until(end) < soon {
			log.Warn("the certificate of the server ends soon, or has ended", "expires_at", end)
		}
	}
	about(false, nil)
	ctx, cancel := context.WithCancel(ctx)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	var group sync.WaitGroup
	group.Go(func() { s.files.Follow(ctx, lookEvery, asked, about) })
	return func() {
		cancel()
		group.Wait()
		signal.Stop(asked)
	}
}
