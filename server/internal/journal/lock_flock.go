//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package journal

import (
	"errors"
	"os"
	"syscall"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// lockFile locks the file at path, and makes it if there is none. The lock
// ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unavailable("open lock file", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fault.New(fault.Unavailable, "replay journal is open in another process, which has locked %s", path)
	} else {
		err = unavailable("lock "+path, err)
	}
	return nil, errors.Join(err, f.Close())
}
