package catalogue_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
)

// TestA05_EmptyMessages gives every preset messages that have next to nothing,
// with all kinds of rings: all are refused or signed, and nothing panics.
func TestA05_EmptyMessages(t *testing.T) {
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range d.Examples {
			s, err := d.New(example.Params)
			if err != nil {
				t.Fatal(err)
			}
			full, err := example.Message()
			if err != nil {
				t.Fatal(err)
			}
			ring, err := example.Ring()
			if err != nil {
				t.Fatal(err)
			}
			messages := []sealwright.Message{
				{}, {Header: full.Header}, {Status: 200}, {Status: 200, Header: full.Header}, {Status: 200, Request: &sealwright.Message{}},
				{Status: 200, Header: full.Header, Request: &sealwright.Message{}}, {Target: full.Target}, {Target: "?"}, {Target: "*", Method: "OPTIONS"},
				{Body: full.Body}, {Header: blank(full.Header, nil)}, {Header: blank(full.Header, []string{})}, {Header: blank(full.Header, []string{""})},
			}
			for i, m := range messages {
				for _, r := range []*keyring.Ring{nil, {}, ring} {
					name := fmt.Sprintf("%s, message %d", d.ID, i)
					m.Header = maps.Clone(m.Header)
					v := sealwright.Verifier{Scheme: s, Ring: r}
					if verdict, err := v.Verify(m, example.Time()); (err == nil) != verdict.Valid || err == nil && r.Len() == 0 {
						t.Errorf("%s: verdict %+v, error %v", name, verdict, err)
					}
					signer := sealwright.Signer{Scheme: s, Ring: r}
					if _, err := signer.Sign(m, example.Time()); err == nil && r.Len() == 0 {
						t.Errorf("%s: signed without a key", name)
					}
				}
			}
		}
	}
}

// blank returns h with other values.
func blank(h map[string][]string, values []string) map[string][]string {
	out := map[string][]string{}
	for name := range h {
		out[name] = values
	}
	return out
}
