package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Moto is a moto_server, a double of AWS.
type Moto struct {
	URL string
}

// StartMoto starts moto on a free port, until the test ends, and sets the
// environment so that the AWS SDK finds credentials and a region.
func StartMoto(t testing.TB) *Moto {
	t.Helper()
	path := findMoto(t)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	port, err := freePort()
	check(t, err)
	run(t, exec.Command(path, "-H", "127.0.0.1", "-p", strconv.Itoa(port)))
	m := &Moto{URL: fmt.Sprint("http://127.0.0.1:", port)}
	await(t, m.URL+"/moto-api/")
	return m
}

// findMoto returns moto_server as make test installs it, or that of PATH.
func findMoto(t testing.TB) string {
	t.Helper()
	return findPython(t, ".cache/moto/bin/moto_server", "needs moto_server (Python package moto[server]), which make test installs in .cache/moto")
}

// findPython returns a command of a Python package as make test installs it, or
// that of PATH.
func findPython(t testing.TB, installed, missing string) string {
	t.Helper()
	dir, err := os.Getwd()
	check(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, installed)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(filepath.Base(installed))
	if err != nil {
		Missing(t, missing)
	}
	return path
}

// Proxy returns the URL of a proxy in front of m, and what takes it away.
func (m *Moto) Proxy(t testing.TB) (address string, away func()) {
	t.Helper()
	return proxy(t, m.URL)
}
