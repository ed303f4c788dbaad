package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/servertest"
)

// readme returns the first block of the README in a language, and changes to
// the folder that its paths are relative to.
func readme(t *testing.T, language, after string) string {
	t.Helper()
	t.Chdir("../..")
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), after)
	_, rest, ok2 := strings.Cut(rest, "```"+language+"\n")
	block, _, ok3 := strings.Cut(rest, "\n```")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("the README has no block %s after %q", language, after)
	}
	return block
}

var edited = regexp.MustCompile(`^sed s/([^/]*)/([^/]*)/ (\S+) \| `)

// TestReadmeCommands runs the commands of the README and compares what they
// print.
func TestReadmeCommands(t *testing.T) {
	for _, part := range strings.Split(readme(t, "console", "## On the command line"), "\n\n") {
		command, want, _ := strings.Cut(part, "\n")
		command = strings.TrimPrefix(command, "$ ")
		var stdin io.Reader = strings.NewReader("")
		if m := edited.FindStringSubmatch(command); m != nil {
			text, err := os.ReadFile(m[3])
			if err != nil {
				t.Fatal(err)
			}
			stdin = strings.NewReader(strings.Replace(string(text), m[1], m[2], 1))
			command = strings.TrimPrefix(command, m[0])
		}
		args := strings.Fields(command)
		if args[0] != "sealwright" {
			t.Fatalf("the README runs %q", args[0])
		}
		got := execute(stdin, args[1:]...)
		if strings.TrimSpace(got.stdout) != strings.TrimSpace(want) {
			t.Errorf("%s\nprints\n%s\nwant\n%s\n(on stderr: %s)", command, got.stdout, want, got.stderr)
		}
		if (got.code == 0) == strings.HasPrefix(want, "NOT VALID") {
			t.Errorf("%s: exit code %d", command, got.code)
		}
	}
}

var posted = regexp.MustCompile(`(?m)^call http://127\.0\.0\.1:8470(\S+) -d (?:'([^']*)'|@(\S+))$`)

// TestReadmeCalls makes the calls of the README to a server.
func TestReadmeCalls(t *testing.T) {
	server := servertest.Start(t)
	token, err := os.ReadFile(filepath.Join(server.Data, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	calls := posted.FindAllStringSubmatch(readme(t, "sh", "## Over HTTP"), -1)
	if len(calls) < 6 {
		t.Fatalf("the README has %d calls", len(calls))
	}
	for _, c := range calls {
		body := []byte(c[2])
		if c[3] != "" {
			if body, err = os.ReadFile(c[3]); err != nil {
				t.Fatal(err)
			}
		}
		req, err := http.NewRequest("POST", server.URL+c[1], bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode/100 != 2 {
			t.Errorf("%s: %s %s, %v", c[1], res.Status, answer, err)
		}
		if strings.HasSuffix(c[1], "/verify") && !strings.Contains(string(answer), `"valid":true`) {
			t.Errorf("%s: %s", c[1], answer)
		}
	}
}
