package peer

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Bao is an OpenBao or Vault in development mode: unsealed, in memory, with a KV
// engine of version 2 at secret/.
type Bao struct {
	URL   string
	Token string // may do everything
}

// StartBao starts the program that SEALWRIGHT_BAO names, until the test ends.
// Without the variable it skips the test, also where other peers are needed: the
// program is not one that make test can install.
func StartBao(t testing.TB) *Bao {
	t.Helper()
	path := os.Getenv("SEALWRIGHT_BAO")
	if path == "" {
		t.Skip("needs OpenBao or Vault: set SEALWRIGHT_BAO to the path of its program")
	}
	port, err := freePort()
	check(t, err)
	b := &Bao{URL: fmt.Sprint("http://127.0.0.1:", port), Token: "root"}
	cmd := exec.Command(path, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+b.Token, "-dev-listen-address="+b.URL[len("http://"):])
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	run(t, cmd)
	await(t, b.URL+"/v1/sys/health")
	return b
}

// Proxy returns the URL of a proxy in front of b, and what takes it away.
func (b *Bao) Proxy(t testing.TB) (address string, away func()) {
	t.Helper()
	return proxy(t, b.URL)
}
