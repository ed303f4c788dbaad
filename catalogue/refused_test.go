package catalogue_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

func TestRefusals(t *testing.T) {
	list := catalogue.Refusals()
	if len(list) < 28 {
		t.Errorf("got %d, want at least 28", len(list))
	}
	if !slices.IsSortedFunc(list, func(a, b catalogue.Refusal) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted by name")
	}
	presets := catalogue.Names()
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, r := range list {
		t.Run(r.Name, func(t *testing.T) {
			if !kebab.MatchString(r.Name) || r.Title == "" || r.Construction == "" || r.Reason == "" {
				t.Errorf("something is missing: %+v", r)
			}
			if slices.Contains(presets, r.Name) {
				t.Error("is a preset too")
			}
			if got, ok := catalogue.Refused(r.Name); !ok || got != r {
				t.Errorf("Refused = %+v, %v", got, ok)
			}
		})
	}
	for _, name := range []string{"", "github", "hubspot", "HubSpot-v1"} {
		if r, ok := catalogue.Refused(name); ok {
			t.Errorf("Refused(%q) = %+v, want none", name, r)
		}
	}
}

// TestA08_RefusedVectors tries to define what was published of constructions
// that are no HMAC. What names a plain hash does not load; what loads as an
// HMAC with the secret in the message does not verify the published values.
func TestA08_RefusedVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/refused.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		var v struct {
			Scheme, Secret, Signature string
			Hashed                    string `json:"hashed_string"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		n++
		t.Run(fmt.Sprintf("%s-%d", v.Scheme, n), func(t *testing.T) {
			if _, ok := catalogue.Refused(v.Scheme); !ok {
				t.Errorf("%s is not refused", v.Scheme)
			}
			mac := hmac.New(sha256.New, []byte(v.Secret))
			mac.Write([]byte("{}"))
			if err := define(t, "hmac-sha256", "{body}", v.Secret, "{}", hex.EncodeToString(mac.Sum(nil))); err != nil {
				t.Fatalf("an HMAC cannot be defined either: %v", err)
			}
			message := strings.Replace(v.Hashed, v.Secret, "", 1)
			for _, template := range []string{"{secret}{body}", "{body}{secret}", "{body}", ""} {
				for _, algorithm := range []string{"sha256", "md5", "hash-sha256", "hmac-sha256", "hmac-md5"} {
					if err := define(t, algorithm, template, v.Secret, message, v.Signature); err == nil {
						t.Errorf("%s of %q verifies", algorithm, template)
					}
				}
			}
		})
	}
	if n != 4 {
		t.Errorf("got %d vectors, want 4", n)
	}
}

// define loads a definition with one known answer.
func define(t *testing.T, algorithm, template, secret, body, tag string) error {
	t.Helper()
	d := map[string]any{
		"id": "x", "tier": "unverified", "direction": "webhook", "source": "s", "doc": "d", "algorithm": algorithm,
		"key": map[string]any{"encoding": "utf8"}, "tag": map[string]any{"from": "header:X-Tag", "encoding": "hex"},
		"message": []string{template},
		"kat": []any{map[string]any{"secret": secret, "request": map[string]any{
			"method": "POST", "url": "https://a/", "body": body, "headers": map[string][]string{"X-Tag": {tag}},
		}}},
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	_, err = scheme.Load(data, catalogue.Codes())
	return err
}
