//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package sqlite

import (
	"os"
	"runtime"

	"github.com/sealwright/sealwright/server/internal/fault"
)

func lockFile(string) (*os.File, error) {
	return nil, fault.New(fault.Unavailable, "the SQLite store cannot lock its file on %s", runtime.GOOS)
}
