package peer

import "testing"

// Schemathesis returns the command of the property tester for OpenAPI.
func Schemathesis(t testing.TB) string {
	t.Helper()
	return findPython(t, ".cache/schemathesis/bin/schemathesis", "needs schemathesis (Python package), which make test installs in .cache/schemathesis")
}
