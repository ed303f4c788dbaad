package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// place is where a store is. One of its fields is set.
type place struct {
	memory bool
	file   string // of SQLite
	url    string // of PostgreSQL
}

// parsePlace reads Config.Store. The error shows no password.
func parsePlace(text, data string) (place, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "memory":
		return place{memory: true}, nil
	case text == "sqlite":
		return place{file: filepath.Join(data, databaseFile)}, nil
	case kind == "sqlite" && rest != "":
		return place{file: rest}, nil
	case kind == "postgres" || kind == "postgresql":
		if strings.HasPrefix(rest, "//") {
			return place{url: text}, checkDatabaseURL(text)
		}
	}
	return place{}, fmt.Errorf("got %q, want sqlite, sqlite:PATH, memory or postgres://HOST/DATABASE", kind)
}

// checkDatabaseURL refuses a password where others can read it, and a
// connection beyond this machine that could be without TLS unasked.
func checkDatabaseURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not a URL") // the error of Parse shows all of it
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a query that cannot be read")
	}
	if _, set := u.User.Password(); set || q.Has("password") {
		return errors.New("has a password, which belongs into the variable PGPASSWORD or the file that PGPASSFILE names")
	}
	hosts := strings.Split(cmp.Or(q.Get("host"), u.Host, os.Getenv("PGHOST")), ",")
	mode := cmp.Or(q.Get("sslmode"), os.Getenv("PGSSLMODE"))
	if slices.ContainsFunc(hosts, remote) && !slices.Contains([]string{"verify-full", "verify-ca", "require", "disable"}, mode) {
		return fmt.Errorf("has a host beyond this machine and sslmode %q: add ?sslmode=verify-full, or disable if everybody on the way is trusted", mode)
	}
	return nil
}

// remote reports whether host, with or without a port, is another machine.
// Nothing and paths are sockets of this one.
func remote(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "%2F") {
		return false
	}
	name := host
	address, err := netip.ParseAddr(name)
	if err != nil { // with a port, or a name
		name = (&url.URL{Host: host}).Hostname()
		address, err = netip.ParseAddr(name)
	}
	return name != "localhost" && (err != nil || !address.IsLoopback())
}

func openStore(ctx context.Context, c Config) (database, error) {
	at, err := parsePlace(c.Store, c.Data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("store: %w", err)
	case at.memory:
		return memory.New(), nil
	case at.url != "":
		return postgres.Open(ctx, at.url, postgres.Options{})
	}
	return sqlite.Open(ctx, at.file)
}
