//go:build unix

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealwright/sealwright/internal/peer"
)

// TestPostgresScripts runs testdata/postgres/*.txt, each with a new database of
// a real PostgreSQL in $POSTGRES.
func TestPostgresScripts(t *testing.T) {
	p := peer.StartPostgres(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/postgres",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("POSTGRES", p.NewDatabase(t))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runWithCode, "await": await},
	})
}
