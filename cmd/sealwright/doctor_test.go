package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
)

// doctorCase is a line of doctor/testdata/cases.jsonl, whose README explains
// it.
type doctorCase struct {
	ID         string `json:"id"`
	Scheme     string `json:"scheme"`
	Configured string `json:"secret_configured"`
	Meta       *struct {
		Name string
	} `json:"secret_meta"`
	Available []struct{ Name, Secret string } `json:"secrets_available"`
	Config    struct {
		PublicURL  string        `json:"public_url"`
		KnownHosts []string      `json:"known_hosts"`
		Params     scheme.Params `json:"params"`
	} `json:"config"`
	Now     int64 `json:"now"`
	Request struct {
		Method, URL string
		Headers     map[string]string
		Body        []byte `json:"body_base64"`
	} `json:"request"`
	Truth    string   `json:"truth"`
	Truth2   string   `json:"truth2"`
	Also     []string `json:"also_acceptable"`
	Provable bool     `json:"provable"`
	HMACOK   bool     `json:"hmac_ok"`
}

func doctorCases(t *testing.T) []doctorCase {
	t.Helper()
	f, err := os.Open("../../doctor/testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []doctorCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c doctorCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if lines.Err() != nil || len(list) < 100 {
		t.Fatalf("got %d cases and %v, want 100", len(list), lines.Err())
	}
	return list
}

// commandLine writes the files of the case and returns the arguments.
func (c *doctorCase) commandLine(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var request strings.Builder
	fmt.Fprintf(&request, "%s %s HTTP/1.1\n", c.Request.Method, c.Request.URL)
	for _, name := range sortedNames(c.Request.Headers) {
		fmt.Fprintf(&request, "%s: %s\n", name, c.Request.Headers[name])
	}
	args := []string{"doctor", "--json", "--scheme", c.Scheme, "--now", fmt.Sprint(c.Now), "--request", write("request.http", request.String()+"\n"+string(c.Request.Body))}
	configured := "configured"
	if c.Meta != nil {
		configured = c.Meta.Name
	}
	args = append(args, "--secret-file", configured+"="+write("configured", c.Configured))
	for i, s := range c.Available {
		name := s.Name
		if name == configured || slices.ContainsFunc(c.Available[:i], func(o struct{ Name, Secret string }) bool { return o.Name == name }) {
			name = fmt.Sprintf("%s #%d", name, i) // an older version, say
		}
		args = append(args, "--secret-file", name+"="+write(fmt.Sprint(i), s.Secret))
	}
	for name, values := range c.Config.Params {
		for _, v := range values {
			args = append(args, "--param", name+"="+v)
		}
	}
	if c.Config.PublicURL != "" {
		args = append(args, "--public-url", c.Config.PublicURL)
	}
	for _, h := range c.Config.KnownHosts {
		args = append(args, "--known-host", h)
	}
	return args
}

// TestDoctorCases runs all cases of package doctor through the command line and
// scores them as that package does.
func TestDoctorCases(t *testing.T) {
	provable, right := 0, 0
	for _, c := range doctorCases(t) {
		if err := knownScheme(c.Scheme); err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		got := execute(nil, c.commandLine(t)...)
		var d finding.Diagnosis
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
			t.Errorf("%s: %v of %+v", c.ID, err, got)
			continue
		}
		if want := map[bool]int{true: exitOK, false: exitNotValid}[settled(d.Verdict)]; got.code != want || got.stderr != "" {
			t.Errorf("%s: code %d with %q for %s, want %d", c.ID, got.code, got.stderr, d.Verdict, want)
		}
		if s := c.Configured; len(s) > 8 && strings.Contains(got.stdout, s) && !strings.Contains(fmt.Sprint(c.Request), s) {
			t.Errorf("%s: the secret is shown", c.ID)
		}
		proven := d.Verdict == doctor.Proven || d.Verdict == doctor.Time
		switch {
		case c.Truth == "control.ok":
			if d.Verdict != doctor.Fine {
				t.Errorf("%s: a control is %s: %s", c.ID, d.Verdict, d.Explanation)
			}
		case c.Truth == "unknown":
			if settled(d.Verdict) {
				t.Errorf("%s: nothing may match, but %s %s: %s", c.ID, d.Verdict, d.Cause, d.Explanation)
			}
		case c.Provable:
			provable++
			if proven && (d.Cause == c.Truth || slices.Contains(c.Also, d.Cause)) {
				right++
			} else {
				t.Logf("%s: want %s, got %s %s: %s", c.ID, c.Truth, d.Verdict, d.Cause, d.Explanation)
			}
			if c.Truth2 != "" && d.Cause2 == "" {
				t.Errorf("%s: two faults, but only %s is named", c.ID, d.Cause)
			}
		}
	}
	t.Logf("%d of %d provable causes named right", right, provable)
	if right*100 < provable*97 {
		t.Errorf("%d of %d provable causes named right, want 97 %%", right, provable)
	}
}

// TestDoctorPage checks that every cause of the cases stands in docs.
func TestDoctorPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/use/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range doctorCases(t) {
		for _, cause := range append([]string{c.Truth, c.Truth2}, c.Also...) {
			if strings.Contains(cause, ".") && cause != "control.ok" && !strings.Contains(string(page), "| `"+cause+"` |") {
				t.Errorf("%s: docs/use/doctor.md does not explain %s", c.ID, cause)
			}
		}
	}
}

func knownScheme(name string) error {
	var f libraryFlag
	_, err := f.definition(name)
	return err
}

// TestDoctorBigBody reads a body of which only facts can be looked at.
func TestDoctorBigBody(t *testing.T) {
	request := writeFile(t, "request.http", "POST / HTTP/1.1\nHost: h\nContent-Length: 7\nX-Hub-Signature-256: sha256="+strings.Repeat("0", 64)+"\n\n"+strings.Repeat("a", 8<<20))
	secret := writeFile(t, "secret.txt", base64.StdEncoding.EncodeToString([]byte("a secret of the test")))
	got := execute(nil, "doctor", "--scheme", "github", "--secret-file", "s="+secret, "--request", request, "--json")
	if got.code != exitNotValid || got.stderr != "" || len(got.stdout) > 10_000 {
		t.Errorf("code %d, %d bytes and %q, want code %d and a short answer", got.code, len(got.stdout), got.stderr, exitNotValid)
	}
}
