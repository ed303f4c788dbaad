//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

import (
	"os"
	"runtime"

	"github.com/sealwright/sealwright/server/internal/fault"
)

func lockFile(string) (*os.File, error) {
	return nil, fault.New(fault.Unavailable, "the replay journal cannot lock its folder on %s", runtime.GOOS)
}
