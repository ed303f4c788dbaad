package secret_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/secret"
)

// What printers and encoders look for.
var (
	_ fmt.Formatter            = secret.Bytes{}
	_ fmt.Stringer             = secret.Bytes{}
	_ fmt.GoStringer           = secret.Bytes{}
	_ slog.LogValuer           = secret.Bytes{}
	_ encoding.TextMarshaler   = secret.Bytes{}
	_ encoding.BinaryMarshaler = secret.Bytes{}
	_ json.Marshaler           = secret.Bytes{}
	_ gob.GobEncoder           = secret.Bytes{}
	_ yaml.Marshaler           = secret.Bytes{}
)

func TestNew(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{"Nil", nil, ""},
		{"Empty", []byte{}, ""},
		{"OneByte", []byte{0}, "\x00"},
		{"NotUTF8", []byte{0xff, 0xfe, 0}, "\xff\xfe\x00"},
		{"Long", bytes.Repeat([]byte("k"), 1<<16), strings.Repeat("k", 1<<16)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for from, b := range map[string]secret.Bytes{"New": secret.New(tt.in), "FromString": secret.FromString(string(tt.in))} {
				if got := string(b.Expose()); got != tt.want {
					t.Errorf("%s: Expose = %q, want %q", from, got, tt.want)
				}
				if got := b.Len(); got != len(tt.want) {
					t.Errorf("%s: Len = %d, want %d", from, got, len(tt.want))
				}
				if got, want := b.IsZero(), tt.want == ""; got != want {
					t.Errorf("%s: IsZero = %v, want %v", from, got, want)
				}
			}
		})
	}
}

func TestZeroValue(t *testing.T) {
	var b secret.Bytes
	if b.Expose() != nil || b.Len() != 0 || !b.IsZero() {
		t.Errorf("zero value: Expose = %q, Len = %d, IsZero = %v", b.Expose(), b.Len(), b.IsZero())
	}
	if b.String() != secret.Redacted {
		t.Errorf("String = %q, want %q: an empty secret must not look different", b.String(), secret.Redacted)
	}
}

// TestNewCopies wipes the caller's bytes, as a careful caller does.
func TestNewCopies(t *testing.T) {
	own := []byte("key material")
	b := secret.New(own)
	clear(own)
	if got := string(b.Expose()); got != "key material" {
		t.Errorf("Expose = %q after the caller wiped its bytes", got)
	}
}

func TestRandom(t *testing.T) {
	for _, n := range []int{0, 1, 16, 32, 64, 4096} {
		b := secret.Random(n)
		if b.Len() != n || b.IsZero() != (n == 0) {
			t.Errorf("Random(%d): Len = %d, IsZero = %v", n, b.Len(), b.IsZero())
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		b := secret.Random(16)
		if b.IsZero() || bytes.Equal(b.Expose(), make([]byte, 16)) {
			t.Fatal("Random(16) has no content")
		}
		seen[string(b.Expose())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 calls of Random(16) gave %d secrets", len(seen))
	}
}

// TestEqualityIsNotOffered keeps == and map keys from comparing secrets.
func TestEqualityIsNotOffered(t *testing.T) {
	if reflect.TypeFor[secret.Bytes]().Comparable() {
		t.Error("Bytes can be compared with ==")
	}
}

func TestEncodersWriteRedacted(t *testing.T) {
	b := secret.FromString(marker)
	text, err := b.MarshalText()
	if err != nil || string(text) != secret.Redacted {
		t.Errorf("MarshalText = %q, %v", text, err)
	}
	js, err := json.Marshal(struct{ K secret.Bytes }{b})
	if err != nil || string(js) != `{"K":"[secret]"}` {
		t.Errorf("json.Marshal = %q, %v", js, err)
	}
	bin, err := b.MarshalBinary()
	if err != nil || string(bin) != secret.Redacted {
		t.Errorf("MarshalBinary = %q, %v", bin, err)
	}
	gobbed, err := b.GobEncode()
	if err != nil || string(gobbed) != secret.Redacted {
		t.Errorf("GobEncode = %q, %v", gobbed, err)
	}
	y, err := yaml.Marshal(struct{ K secret.Bytes }{b})
	if err != nil || string(y) != "k: '[secret]'\n" {
		t.Errorf("yaml.Marshal = %q, %v", y, err)
	}
	if v := b.LogValue(); v.Kind() != slog.KindString || v.String() != secret.Redacted {
		t.Errorf("LogValue = %v", v)
	}
	if got := b.GoString(); got != secret.Redacted {
		t.Errorf("GoString = %q", got)
	}
}

// TestRedactedDoesNotReadBack keeps "[secret]" from becoming a key when a
// printed document is loaded again.
func TestRedactedDoesNotReadBack(t *testing.T) {
	type doc struct{ K secret.Bytes }
	readers := map[string]func(*doc) error{
		"JSON": func(d *doc) error { return json.Unmarshal([]byte(`{"K":"[secret]"}`), d) },
		"YAML": func(d *doc) error { return yaml.Unmarshal([]byte("k: '[secret]'"), d) },
		"Gob": func(d *doc) error {
			var buf bytes.Buffer
			if err := gob.NewEncoder(&buf).Encode(doc{secret.FromString(marker)}); err != nil {
				return err
			}
			return gob.NewDecoder(&buf).Decode(d)
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			var d doc
			err := read(&d)
			if err == nil {
				t.Errorf("no error, and a secret of %d bytes", d.K.Len())
			}
			if !d.K.IsZero() {
				t.Errorf("read a secret of %d bytes", d.K.Len())
			}
		})
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	b := secret.Random(32)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if b.Len() != 32 || b.String() != secret.Redacted || len(b.Expose()) != 32 {
					t.Error("a shared secret changed")
				}
			}
		})
	}
	wg.Wait()
}

func ExampleBytes() {
	key := secret.FromString("It's a Secret to Everybody")
	fmt.Printf("%v %s %x %+v\n", key, key, key, struct{ Key secret.Bytes }{key})
	fmt.Println(key.Len(), "bytes")
	// Output:
	// [secret] [secret] [secret] {Key:[secret]}
	// 26 bytes
}
