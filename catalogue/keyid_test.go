package catalogue_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

// TestA25_KeyIDOfTheSameSecret gives the secret of every valid vector to a
// second key and its ID to the message: it is refused, or the verdict does not
// claim the key ID. Under another secret it is refused.
func TestA25_KeyIDOfTheSameSecret(t *testing.T) {
	files, err := filepath.Glob("vectors/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			if v.Expect != "valid" || v.KeyID == "" {
				continue
			}
			s, err := catalogue.New(v.Preset, v.Params)
			if err != nil {
				t.Fatal(err)
			}
			m, err := v.Message()
			if err != nil {
				t.Fatal(err)
			}
			other := v.KeyID[1:] + "x" // of the same length
			changed := renamed(m, v.KeyID, other)
			if m.Request != nil {
				request := renamed(*m.Request, v.KeyID, other)
				changed.Request = &request
			}
			if fmt.Sprint(m) == fmt.Sprint(changed) {
				continue // the ID is encoded together with the tag (Basic)
			}
			for _, text := range []string{v.Secret, "another " + v.Secret} {
				ring := keyring.Must(keyring.Key{ID: other, Version: 2, Secret: secret.FromString(text)},
					keyring.Key{ID: v.KeyID, Version: 1, Secret: secret.FromString(v.Secret)})
				verifier := sealwright.Verifier{Scheme: s, Ring: ring}
				verdict, err := verifier.Verify(changed, v.Time())
				if err != nil {
					continue
				}
				if text != v.Secret || verdict.Covers.KeyID || verdict.KeyID != other {
					t.Errorf("%s: verifies under the key ID %q, which covers %+v", v.ID, verdict.KeyID, verdict.Covers)
				}
			}
		}
	}
}

// renamed returns m with the key ID replaced wherever it stands.
func renamed(m sealwright.Message, id, other string) sealwright.Message {
	m.Target = strings.ReplaceAll(m.Target, id, other)
	m.Body = bytes.ReplaceAll(m.Body, []byte(id), []byte(other))
	header := map[string][]string{}
	for name, values := range m.Header {
		for _, text := range values {
			header[name] = append(header[name], strings.ReplaceAll(text, id, other))
		}
	}
	m.Header = header
	return m
}
