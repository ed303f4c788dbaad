package api_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
)

func TestMetadataCheck(t *testing.T) {
	text := strings.Repeat("a", api.MaxMetadataText)
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, string(rune('A'+i)))
		}
		return list
	}
	labels := func(n int, value string) map[string]string {
		m := map[string]string{}
		for _, name := range many(n) {
			m[name] = value
		}
		return m
	}
	tests := []struct {
		name string
		in   *api.Metadata
		want string // how the error begins; empty for none
	}{
		{"Nil", nil, ""},
		{"Zero", &api.Metadata{}, ""},
		{"LongestText", &api.Metadata{Environment: text, Source: text, Target: text, Resource: text}, ""},
		{"MostClassesAndLabels", &api.Metadata{Classes: many(32), Labels: labels(32, "")}, ""},
		{"OneByteMore", &api.Metadata{Target: text + "a"}, "target: got 257 bytes"},
		{"NotUTF8", &api.Metadata{Source: "\xff"}, "source: want UTF-8"},
		{"LineEnd", &api.Metadata{Environment: "a\nb"}, "environment: want UTF-8 without control characters"},
		{"C1Control", &api.Metadata{Resource: "a\u0085"}, "resource: want UTF-8 without control characters"},
		{"OneClassMore", &api.Metadata{Classes: many(33)}, "classes: got 33"},
		{"EmptyClass", &api.Metadata{Classes: []string{"a", ""}}, "classes[1]: got 0 bytes"},
		{"LongClass", &api.Metadata{Classes: []string{text[:65]}}, "classes[0]: got 65 bytes"},
		{"ClassTwice", &api.Metadata{Classes: []string{"a", "b", "a"}}, "classes[2]: stands twice"},
		{"OneLabelMore", &api.Metadata{Labels: labels(33, "")}, "labels: got 33"},
		{"LabelWithoutName", &api.Metadata{Labels: map[string]string{"": "a"}}, "labels, a name: got 0"},
		{"LongLabel", &api.Metadata{Labels: map[string]string{"a": text + "a"}}, "labels.a: got 257"},
		{"AllTogether", &api.Metadata{Labels: labels(16, text)}, "metadata: got 4112 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.in.Check()
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Check: got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestBoundMetadata holds the construction to the vector that stands in
// docs/design/metadata.md, by the standard library alone.
func TestBoundMetadata(t *testing.T) {
	m := &api.Metadata{
		Environment: "production", Resource: "orders.payments", Classes: []string{"pii", "financial"}, Labels: map[string]string{"team": "red", "a": ""},
	}
	const canonical = "7365616c7772696768742d626f756e642d6d657461646174612d76310a" + // sealwright-bound-metadata-v1 and a line feed
		"0000000a70726f64756374696f6e" + "00000000" + "00000000" + "0000000f6f72646572732e7061796d656e7473" +
		"00000002" + "0000000966696e616e6369616c" + "00000003706969" +
		"00000002" + "0000000161" + "00000000" + "000000047465616d" + "00000003726564"
	got := m.AppendCanonical(nil)
	if hex.EncodeToString(got) != canonical {
		t.Errorf("AppendCanonical: got %x, want %s", got, canonical)
	}
	secret, err := hex.DecodeString("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		t.Fatal(err)
	}
	const label = "sealwright bound metadata"
	key, err := hkdf.Key(sha256.New, secret, nil, string([]byte{0, 0, 0, byte(len(label))})+label, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(append(got, "hello"...))
	const tag = "d5b81f7e05b0c157999a62063e41f94510f835e68682efeb775cd5cc26e38874"
	if got := hex.EncodeToString(mac.Sum(nil)); got != tag {
		t.Errorf("tag: got %s, want %s", got, tag)
	}
}

func TestCanonicalMetadataIsOneToOne(t *testing.T) {
	different := []*api.Metadata{
		{}, {Environment: "a"}, {Source: "a"}, {Target: "a"}, {Resource: "a"}, {Environment: "a", Source: "b"}, {Environment: "ab"},
		{Classes: []string{"a"}}, {Classes: []string{"a", "b"}}, {Classes: []string{"ab"}},
		{Labels: map[string]string{"a": ""}}, {Labels: map[string]string{"a": "b"}}, {Labels: map[string]string{"a": "", "b": ""}},
	}
	seen := map[string]int{}
	for i, m := range different {
		text := string(m.AppendCanonical(nil))
		for other, j := range seen {
			if strings.HasPrefix(other, text) || strings.HasPrefix(text, other) {
				t.Errorf("metadata %d and %d: one begins with the other", i, j)
			}
		}
		seen[text] = i
	}
	for _, same := range [][2]*api.Metadata{
		{nil, {}}, {{Classes: []string{"a", "b"}}, {Classes: []string{"b", "a"}}}, {{Labels: map[string]string{}}, {}},
	} {
		if a, b := same[0].AppendCanonical(nil), same[1].AppendCanonical(nil); string(a) != string(b) {
			t.Errorf("got %x and %x, want the same", a, b)
		}
	}
}
