package doctor_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// testCase is a line of testdata/cases.jsonl; see testdata/README.md.
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

func readCases(tb testing.TB) []testCase {
	tb.Helper()
	f, err := os.Open("testdata/cases.jsonl")
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
			tb.Fatal(err)
		}
		out = append(out, c)
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
		tb.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(c.Request.Body)
	if err != nil {
		tb.Fatal(err)
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
		if d, err := catalogue.Definition(id); err == nil {
			out = append(out, d)
		}
	}
	return out
}

// TestCases scores the doctor on all cases: at least 97 % of the provable
// causes are named right, every control verifies, and no cause is proven where
// the truth is unknown.
func TestCases(t *testing.T) {
	others := allDefinitions(t)
	provable, right := 0, 0
	for _, c := range readCases(t) {
		if _, err := catalogue.Definition(c.Scheme); err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		d := doctor.Diagnose(context.Background(), c.input(t, others))
		proven := d.Verdict == doctor.Proven || d.Verdict == doctor.Time
		named := proven && (d.Cause == c.Truth || slices.Contains(c.Also, d.Cause))
		switch {
		case c.Truth == "control.ok":
			if d.Verdict != doctor.Fine {
				t.Errorf("%s: a control is %s: %s", c.ID, d.Verdict, d.Explanation)
			}
		case c.Truth == "unknown":
			if proven || d.Verdict == doctor.Fine {
				t.Errorf("%s: nothing may match, but %s %s: %s", c.ID, d.Verdict, d.Cause, d.Explanation)
			}
		case c.Provable:
			provable++
			if named {
				right++
			} else {
				t.Logf("%s: want %s, got %s %s: %s", c.ID, c.Truth, d.Verdict, d.Cause, d.Explanation)
			}
			if c.Truth2 != "" && d.Cause2 == "" {
				t.Errorf("%s: two faults, but only %s is named", c.ID, d.Cause)
			}
		case proven:
			t.Logf("%s: only evidence is possible, got %s %s: %s", c.ID, d.Verdict, d.Cause, d.Explanation)
		default:
			t.Logf("%s: %s: %s %s: %s", c.ID, c.Truth, d.Verdict, d.Cause, d.Explanation)
		}
		if c.HMACOK && c.Truth != "control.ok" && d.Verdict != doctor.Time {
			t.Errorf("%s: a time fault is %s", c.ID, d.Verdict)
		}
	}
	t.Logf("%d of %d provable causes named right", right, provable)
	if right*100 < provable*97 {
		t.Errorf("%d of %d provable causes named right, want 97 %%", right, provable)
	}
}
