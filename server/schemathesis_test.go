//go:build unix

package server_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
)

// excludedChecks are those of the property tester that do not hold, each with
// its reason.
var excludedChecks = map[string]string{
	"positive_data_acceptance": "the schema cannot say everything that is refused: a message is either text or base64, " +
		"names are those of things that exist, and a secret has at least 14 bytes",
}

// TestDescription sends what a property tester makes of the description of the
// API, right and wrong, to a real server: no answer is an error of the server,
// or another one than is described.
func TestDescription(t *testing.T) {
	command := peer.Schemathesis(t)
	data := t.TempDir()
	p := spawn(t, data)
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	token, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	var excluded []string
	for check := range excludedChecks {
		excluded = append(excluded, check)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, "run", p.url+"/openapi.json", "--header", "Authorization: Bearer "+strings.TrimSpace(string(token)),
		"--checks", "all", "--exclude-checks", strings.Join(excluded, ","), "--phases", "examples,coverage,fuzzing",
		"--max-examples", "8", "--seed", "1", "--generation-deterministic", "--no-color", "--continue-on-failure")
	cmd.Dir = t.TempDir() // it keeps what it found there
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if !strings.Contains(string(out), "Test cases:") {
		t.Errorf("nothing was tested:\n%s", out)
	}
}
