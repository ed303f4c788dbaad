//go:build unix

package peer

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bouncerConfig lets everybody in who can reach the socket, like the server
// behind it. It has few sessions, so that transactions change them.
const bouncerConfig = `[databases]
* = host=%[1]s user=%[3]s
[pgbouncer]
unix_socket_dir = %[2]s
unix_socket_mode = 0777
listen_addr =
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 5
logfile =
`

// PgBouncer is a pooler in transaction mode in front of a [Postgres].
type PgBouncer struct{ dir string }

// StartPgBouncer starts one until the test ends. Its program is the one that
// SEALWRIGHT_PGBOUNCER names, or on PATH, or where Debian puts it.
func StartPgBouncer(t testing.TB, p *Postgres) *PgBouncer {
	t.Helper()
	bin := os.Getenv("SEALWRIGHT_PGBOUNCER")
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); bin == "" && err == nil {
			bin = path
		}
	}
	if bin == "" {
		Missing(t, "needs PgBouncer (pgbouncer on PATH, in /usr/sbin or in SEALWRIGHT_PGBOUNCER), which make test installs")
	}
	dir, err := os.MkdirTemp(p.dir, "bouncer") // of the server: both run as the same user
	check(t, err)
	config := filepath.Join(dir, "pgbouncer.ini")
	check(t, os.WriteFile(config, fmt.Appendf(nil, bouncerConfig, p.dir, dir, superuser), 0o644))
	if p.credential != nil {
		check(t, os.Chown(dir, int(p.credential.Uid), int(p.credential.Gid)))
	}
	alive, input, err := os.Pipe()
	check(t, err)
	defer alive.Close()
	c := p.as(exec.Command("sh", "-c", supervise, "sh", "TERM", bin, config))
	c.ExtraFiles = []*os.File{alive}
	check(t, c.Start())
	t.Cleanup(func() {
		check(t, input.Close())
		_ = c.Wait() // it was killed
	})
	b := &PgBouncer{dir: dir}
	for end := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, ".s.PGSQL.6432")); err == nil {
			return b
		} else if time.Now().After(end) {
			t.Fatalf("PgBouncer does not start: %v", err)
		}
	}
}

// URL returns the URL of a database of the server through the pooler.
func (b *PgBouncer) URL(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	check(t, err)
	q := u.Query()
	q.Set("host", b.dir)
	q.Set("port", "6432")
	u.RawQuery = q.Encode()
	return u.String()
}
