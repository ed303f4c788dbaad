package doctor_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

var table = flag.String("doctor.table", "", "file into which TestTable writes its measurements")

// testCase is a line of testdata/*.jsonl; see testdata/README.md.
type testCase struct {
	ID         string `json:"id"`
	Scheme     string `json:"scheme"`
	Configured string `json:"secret_configured"`
	Meta       *struct {
		Name, Env, Kind string
		Version         int
	} `json:"secret_meta"`
	Available []struct {
		Name, Env, Kind, Secret string
		Version                 int
	} `json:"secrets_available"`
	Config struct {
		PublicURL  string        `json:"public_url"`
		KnownHosts []string      `json:"known_hosts"`
		Params     scheme.Params `json:"params"`
	} `json:"config"`
	Now     int64 `json:"now"`
	Request struct {
		Method, URL string
		Headers     map[string]string
		Body        string `json:"body_base64"`
	} `json:"request"`
	Truth    string   `json:"truth"`
	Truth2   string   `json:"truth2"`
	Also     []string `json:"also_acceptable"`
	Provable bool     `json:"provable"`
	HMACOK   bool     `json:"hmac_ok"`
}

// caseFiles are the files of cases: the published ones, and our own variants.
var caseFiles = []string{"cases.jsonl", "more.jsonl"}

func readCases(tb testing.TB, file string) []testCase {
	tb.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []testCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c testCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			tb.Fatalf("%s: case %d: %v", file, len(out)+1, err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

func (c *testCase) input(tb testing.TB, others []*scheme.Definition) doctor.Input {
	tb.Helper()
	d, err := catalogue.Definition(c.Scheme)
	if err != nil {
		tb.Fatalf("%s: %v", c.ID, err)
	}
	urlScheme, host, target, err := sealwright.SplitURL(c.Request.URL)
	if err != nil {
		tb.Fatalf("%s: %v", c.ID, err)
	}
	body, err := base64.StdEncoding.DecodeString(c.Request.Body)
	if err != nil {
		tb.Fatalf("%s: %v", c.ID, err)
	}
	header := map[string][]string{}
	for k, v := range c.Request.Headers {
		header[k] = []string{v}
	}
	in := doctor.Input{
		Definition: d, Params: c.Config.Params, Others: others,
		Message: sealwright.Message{Method: c.Request.Method, Scheme: urlScheme, Host: host, Target: target,
			Header: sealwright.CanonicalHeader(header), Body: body},
		Now: time.Unix(c.Now, 0), PublicURL: c.Config.PublicURL, KnownHosts: c.Config.KnownHosts,
		MaxTime: time.Minute, // the bound that counts in tests is that of hypotheses
	}
	first := doctor.Secret{Name: "configured", Bytes: secret.FromString(c.Configured)}
	if c.Meta != nil {
		first.Name, first.Env, first.Kind, first.Version = c.Meta.Name, c.Meta.Env, c.Meta.Kind, c.Meta.Version
	}
	in.Secrets = append(in.Secrets, first)
	for _, s := range c.Available {
		in.Secrets = append(in.Secrets, doctor.Secret{Name: s.Name, Env: s.Env, Kind: s.Kind, Version: s.Version, Bytes: secret.FromString(s.Secret)})
	}
	return in
}

func allDefinitions(tb testing.TB) []*scheme.Definition {
	tb.Helper()
	var out []*scheme.Definition
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// right reports whether d names the cause of a provable case.
func (c *testCase) right(d doctor.Diagnosis) bool {
	want := doctor.Proven
	if c.HMACOK {
		want = doctor.Time
	}
	return d.Verdict == want && (d.Cause == c.Truth || slices.Contains(c.Also, d.Cause))
}

// TestCases scores the doctor: at least 97 % of the provable causes are named
// right, every control verifies, no cause is proven where the truth is unknown,
// and no diagnosis shows a secret.
func TestCases(t *testing.T) {
	others := allDefinitions(t)
	for _, file := range caseFiles {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			provable, right := 0, 0
			for _, c := range readCases(t, file) {
				in := c.input(t, others)
				if !c.Provable {
					in.MaxHypotheses = 2_000 // nothing is there to be found; TestTable goes to the default
				}
				d := doctor.Diagnose(context.Background(), in)
				c.check(t, d)
				if c.Provable {
					provable++
					if c.right(d) {
						right++
					} else {
						t.Logf("%s: want %s, got %s %s: %s", c.ID, c.Truth, d.Verdict, d.Cause, d.Explanation)
					}
				}
			}
			t.Logf("%d of %d provable causes named right", right, provable)
			if provable == 0 || right*100 < provable*97 {
				t.Errorf("%d of %d provable causes named right, want 97 %%", right, provable)
			}
		})
	}
}

// check tests what must hold for every case.
func (c *testCase) check(t *testing.T, d doctor.Diagnosis) {
	t.Helper()
	proven := d.Verdict == doctor.Proven || d.Verdict == doctor.Time
	switch {
	case c.Truth == "control.ok" && d.Verdict != doctor.Fine:
		t.Errorf("%s: a control is %s: %s", c.ID, d.Verdict, d.Explanation)
	case c.Truth == "unknown" && (proven || d.Verdict == doctor.Fine):
		t.Errorf("%s: nothing may match, but %s %s: %s", c.ID, d.Verdict, d.Cause, d.Explanation)
	case c.Truth != "control.ok" && d.Verdict == doctor.Fine:
		t.Errorf("%s: %s is %s: %s", c.ID, c.Truth, d.Verdict, d.Explanation)
	}
	if c.Provable && c.Truth2 != "" && d.Cause2 == "" {
		t.Errorf("%s: two faults, %s and %s, but only %s is named", c.ID, c.Truth, c.Truth2, d.Cause)
	}
	if d.Verdict == doctor.Proven && (d.Fix == "" || d.Explanation == "Proven: ." || strings.Contains(d.Explanation, ": ,")) {
		t.Errorf("%s: no fix or explanation: %+v", c.ID, d)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{c.Configured}
	for _, s := range c.Available {
		secrets = append(secrets, s.Secret)
	}
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) >= 6 && !isPlaceholder(s) && bytes.Contains(text, []byte(s)) {
			t.Errorf("%s: the diagnosis shows a secret: %s", c.ID, text)
		}
	}
}

// isPlaceholder reports whether a secret is a word that may stand in texts.
func isPlaceholder(s string) bool {
	return slices.Contains([]string{"secret", "changeme", "undefined"}, strings.Trim(s, "<>${}"))
}

// measured is the outcome of one case.
type measured struct {
	c    testCase
	d    doctor.Diagnosis
	time time.Duration
}

// TestTable measures all cases and writes docs/benchmarks/doctor.md. Without the
// flag it does nothing but say so.
func TestTable(t *testing.T) {
	if *table == "" {
		t.Skip("no -doctor.table: this test writes a document and checks nothing")
	}
	others := allDefinitions(t)
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of the doctor\n\nWritten by `go test ./doctor -count=1 -run TestTable -doctor.table=$PWD/docs/benchmarks/doctor.md`; nothing in it was typed.\n\nThe bound of a search is 120,000 hypotheses; what nobody can explain goes to it.\n\n")
	fmt.Fprintf(&b, "Commit %s, %s, %s/%s, %d cores, %s.\nTimes are of one run after a run that warms caches, with the schemes of the whole catalogue as alternatives.\n",
		commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
	for _, file := range caseFiles {
		var all []measured
		for _, c := range readCases(t, file) {
			in := c.input(t, others)
			doctor.Diagnose(context.Background(), in)
			start := time.Now()
			d := doctor.Diagnose(context.Background(), in)
			all = append(all, measured{c, d, time.Since(start)})
		}
		fmt.Fprintf(&b, "\n## doctor/testdata/%s\n\n", file)
		writeTable(&b, all)
	}
	if err := os.WriteFile(*table, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeTable(b *strings.Builder, all []measured) {
	groups := map[string][]measured{}
	for _, m := range all {
		group, _, _ := strings.Cut(m.c.Truth, ".")
		if !m.c.Provable && group != "control" && group != "unknown" {
			group = "evidence only"
		}
		groups[group] = append(groups[group], m)
		groups["all"] = append(groups["all"], m)
	}
	fmt.Fprintf(b, "| cause | cases | right | hypotheses, median | most | time, median | 95 %% | most |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, name := range []string{"body", "secret", "url", "msg", "sig", "header", "alg", "time", "scheme", "control", "unknown", "evidence only", "all"} {
		list := groups[name]
		if len(list) == 0 {
			continue
		}
		var times []time.Duration
		var tried []int
		right, counted := 0, 0
		for _, m := range list {
			times, tried = append(times, m.time), append(tried, m.d.Hypotheses)
			if m.counts() {
				counted++
				if m.good() {
					right++
				}
			}
		}
		slices.Sort(times)
		slices.Sort(tried)
		n := len(times)
		ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
		fmt.Fprintf(b, "| %s | %d | %s | %d | %d | %s | %s | %s |\n", name, n, ratio(right, counted), tried[n/2], tried[n-1], ms(times[n/2]), ms(times[min(n-1, n*95/100)]), ms(times[n-1]))
	}
}

func ratio(right, of int) string {
	if of == 0 {
		return "not scored"
	}
	return fmt.Sprintf("%d of %d", right, of)
}

// counts reports whether a case is scored: what can be evidence at most is not.
func (m measured) counts() bool {
	return m.c.Provable || m.c.Truth == "control.ok" || m.c.Truth == "unknown"
}

func (m measured) good() bool {
	switch m.c.Truth {
	case "control.ok":
		return m.d.Verdict == doctor.Fine
	case "unknown":
		return m.d.Verdict == doctor.Unknown || m.d.Verdict == doctor.Evidence
	}
	return m.c.right(m.d)
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.SplitSeq(string(info), "\n") {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :")
		}
	}
	return "unknown processor"
}

func BenchmarkDiagnose(b *testing.B) {
	others := allDefinitions(b)
	for _, id := range []string{"D010", "D062", "D107", "D168", "D174"} {
		for _, c := range readCases(b, "cases.jsonl") {
			if c.ID != id {
				continue
			}
			in := c.input(b, others)
			b.Run(c.Truth+"/"+id, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					doctor.Diagnose(context.Background(), in)
				}
			})
		}
	}
}
