package sigv4_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sigv4"
	"github.com/sealwright/sealwright/secret"
)

// presets are all definitions that this package canonicalises.
var presets = []string{
	"alibaba-acs3", "aws-sigv4", "aws-sigv4-query", "escher", "gcs-hmac-v4", "huawei-sdk", "tencent-tc3", "volcengine",
}

var codes = map[string]scheme.Constructor{"sigv4": sigv4.New}

func definition(t testing.TB, id string) *scheme.Definition {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "catalogue", id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := scheme.Parse(data, codes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newScheme(t testing.TB, id string, p scheme.Params) sealwright.Scheme {
	t.Helper()
	s, err := definition(t, id).New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// aws is the preset aws-sigv4 for the region us-east-1.
func aws(t testing.TB, service string) sealwright.Scheme {
	t.Helper()
	return newScheme(t, "aws-sigv4", scheme.Params{"region": {"us-east-1"}, "service": {service}})
}

func awsQuery(t testing.TB, service string) sealwright.Scheme {
	t.Helper()
	return newScheme(t, "aws-sigv4-query", scheme.Params{"region": {"us-east-1"}, "service": {service}})
}

const (
	keyID     = "AKIDEXAMPLE"
	awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var now = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

func ring(id string) *keyring.Ring {
	return keyring.Must(keyring.Key{ID: id, Version: 1, Secret: secret.FromString(awsSecret)})
}

func signed(t testing.TB, s sealwright.Scheme, m sealwright.Message) sealwright.Message {
	t.Helper()
	signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
	out, err := signer.Sign(m, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verify(s sealwright.Scheme, m sealwright.Message) (sealwright.Verdict, error) {
	v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
	return v.Verify(m, now)
}

// TestKnownAnswers loads every definition, which runs its known answers.
func TestKnownAnswers(t *testing.T) {
	for _, id := range presets {
		t.Run(id, func(t *testing.T) {
			if err := definition(t, id).Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVectors runs the published and derived vectors of the presets.
func TestVectors(t *testing.T) {
	for _, id := range presets {
		d := definition(t, id)
		for _, v := range readVectors(t, filepath.Join("..", "..", "catalogue", "vectors", id+".jsonl")) {
			t.Run(v.ID, func(t *testing.T) {
				s, err := d.New(v.Params)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Run(s); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func readVectors(t testing.TB, file string) []scheme.Vector {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []scheme.Vector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		v, err := scheme.ParseVector(lines.Bytes())
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		out = append(out, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("%s holds no vectors", file)
	}
	return out
}
