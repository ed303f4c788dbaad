package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/gate"
)

// RedisFile says which Redis or Valkey the nodes share. The password is named,
// as env:NAME, file:PATH or cred:NAME.
type RedisFile struct {
	URL              Setting `yaml:"url"` // redis://, rediss:// or unix://; missing means none
	Password         Setting `yaml:"password"`
	CAFile           Setting `yaml:"ca_file"`
	Plaintext        Setting `yaml:"plaintext"` // true allows redis:// to another machine
	AssumeNoEviction Setting `yaml:"assume_noeviction"`
	Strict           Setting `yaml:"strict"`
	OnStoreError     Setting `yaml:"on_store_error"` // closed or local
	Timeout          Setting `yaml:"timeout"`
	FutureSkew       Setting `yaml:"future_skew"`
}

// redisConfig is a RedisFile that was checked.
type redisConfig struct {
	url, caFile                     string // of none it is empty
	password                        func() (secret.Bytes, error)
	assumeNoEviction, strict, local bool
	timeout, futureSkew             time.Duration
}

// Bounds of redis.timeout.
const (
	minRedisTimeout = 10 * time.Millisecond
	maxRedisTimeout = 5 * time.Second
)

func (s *settings) redis(f RedisFile) redisConfig {
	if f == (RedisFile{}) {
		return redisConfig{}
	}
	yes := func(name string, from Setting) bool {
		return s.choice("redis."+name, "", from, "false", "true") == "true"
	}
	c := redisConfig{url: s.text("redis.url", "", f.URL, ""), caFile: s.text("redis.ca_file", "", f.CAFile, "")}
	if password := s.text("redis.password", "", f.Password, ""); password != "" {
		read, err := reference(password)
		s.check("redis.password", f.Password, err)
		c.password = read
	}
	s.check("redis.url", f.URL, checkRedisURL(c.url, yes("plaintext", f.Plaintext)))
	c.assumeNoEviction = yes("assume_noeviction", f.AssumeNoEviction)
	c.strict = yes("strict", f.Strict)
	c.local = s.choice("redis.on_store_error", "", f.OnStoreError, "closed", "local") == "local"
	c.timeout = s.duration("redis.timeout", 0, f.Timeout, redis.DefaultTimeout, minRedisTimeout, maxRedisTimeout)
	c.futureSkew = s.duration("redis.future_skew", 0, f.FutureSkew, redis.DefaultSkew, time.Second, redis.MaxSkew)
	return c
}

// checkRedisURL refuses a password where others can read it, a connection beyond
// this machine without TLS unasked, and options, which have their own settings.
func checkRedisURL(text string, plaintext bool) error {
	if text == "" {
		return errors.New("is missing")
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not a URL") // the error of Parse shows all of it
	}
	_, password := u.User.Password()
	switch {
	case password:
		return errors.New("has a password, which belongs into redis.password")
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return fmt.Errorf("got %q, want redis://HOST, rediss://HOST or unix:///PATH", u.Scheme)
	case u.RawQuery != "" && (u.Scheme != "unix" || len(u.Query()) != 1 || !u.Query().Has("db")):
		return errors.New("has options, which have settings of their own")
	case u.Scheme != "unix" && u.Host == "":
		return errors.New("has no host")
	case u.Scheme == "redis" && remote(u.Host) && !plaintext:
		return errors.New("has a host beyond this machine without TLS: use rediss://, or set redis.plaintext to true if everybody on the way is trusted")
	}
	return nil
}

// openRedis connects to the Redis that the nodes share, nil for none. local is
// the guard of this node alone, which redis.on_store_error needs; nil means none.
// first says that no message was ever accepted.
func openRedis(ctx context.Context, c redisConfig, local gate.Claims, first bool, log *slog.Logger) (*redis.Client, error) {
	if c.url == "" {
		return nil, nil
	}
	o := redis.Options{
		URL: c.url, Password: c.password, Timeout: c.timeout, Skew: c.futureSkew, AssumeNoEviction: c.assumeNoEviction,
		Strict: c.strict, Local: local, First: first, FallBack: c.local, Log: log,
	}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, fmt.Errorf("redis.ca_file: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("redis.ca_file: %s has no certificate", c.caFile)
		}
	}
	return redis.Open(ctx, o)
}

// watchRedis watches until the function that it returns is called, and closes
// the connections then.
func watchRedis(ctx context.Context, client *redis.Client) (stop func() error) {
	if client == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { client.Run(ctx) })
	return func() error {
		cancel()
		group.Wait()
		return client.Close()
	}
}
