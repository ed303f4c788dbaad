package mac_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// vector is one line of testdata/vectors.jsonl.gz.
type vector struct {
	Source    string   `json:"source"`
	Algorithm string   `json:"algorithm"`
	Key       hexBytes `json:"key_hex"`
	Message   hexBytes `json:"message_hex"`
	Tag       hexBytes `json:"tag_hex"`
	Valid     bool     `json:"valid"`
	Bits      int      `json:"truncated_bits"` // 0 for a full tag
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// readVectors returns the lines by the name of their algorithm.
func readVectors(t *testing.T) map[string][]vector {
	t.Helper()
	f, err := os.Open("testdata/vectors.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]vector{}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%v in %.200s", err, lines.Text())
		}
		out[v.Algorithm] = append(out[v.Algorithm], v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// lines is how many vectors each algorithm has; more or fewer is a damaged
// file.
var lines = map[string]int{
	"hmac-md5": 6, "hmac-sha1": 477, "hmac-sha256": 406, "hmac-sha384": 481, "hmac-sha512": 556,
	"hmac-sha512-256": 175, "hmac-sha3-256": 174,
}

// notOffered names the algorithms of the file that the package leaves out.
var notOffered = map[string]int{
	"hmac-sha224": 554, "hmac-sha3-224": 172, "hmac-sha3-384": 174, "hmac-sha3-512": 174, "hmac-sha512-224": 173,
	"hmac-sm3": 174,
}

// TestVectors checks every line of RFC 4231, RFC 2202, Wycheproof and NIST CAVP
// for the algorithms that are offered.
func TestVectors(t *testing.T) {
	all := readVectors(t)
	for name, want := range notOffered {
		if _, err := mac.Parse(name); err == nil {
			t.Errorf("%s is offered, but its vectors are not checked", name)
		}
		if got := len(all[name]); got != want {
			t.Errorf("%s: got %d lines, want %d", name, got, want)
		}
		t.Logf("not offered: %s, %d lines", name, len(all[name]))
		delete(all, name)
	}
	for name, vectors := range all {
		t.Run(name, func(t *testing.T) {
			a, err := mac.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(vectors) != lines[name] {
				t.Errorf("got %d lines, want %d", len(vectors), lines[name])
			}
			for i, v := range vectors {
				checkVector(t, i, a, v)
			}
		})
	}
	for _, a := range mac.Algorithms() {
		if len(all[a.String()]) == 0 {
			t.Errorf("%v has no vectors", a)
		}
	}
}

func checkVector(t *testing.T, i int, a mac.Algorithm, v vector) {
	t.Helper()
	key, err := mac.NewPinned(a, secret.New(v.Key))
	if err != nil {
		t.Fatalf("line %d of %s: %v", i, v.Source, err)
	}
	full, err := key.Sum(nil, v.Message)
	if err != nil {
		t.Fatalf("line %d of %s: %v", i, v.Source, err)
	}
	size := a.Size()
	if v.Bits != 0 {
		size = v.Bits / 8
	}
	if len(v.Tag) != size {
		t.Fatalf("line %d of %s: tag has %d bytes, want %d", i, v.Source, len(v.Tag), size)
	}
	if got := bytes.Equal(full[:size], v.Tag); got != v.Valid {
		t.Errorf("line %d of %s: Sum gives the tag: %v, want %v", i, v.Source, got, v.Valid)
	}
	if got, want := key.Verify(v.Tag, v.Message), v.Valid && size == a.Size(); got != want {
		t.Errorf("line %d of %s: Verify = %v, want %v", i, v.Source, got, want)
	}
	s := key.State()
	defer s.Release()
	_, _ = s.Write(v.Message)
	if got, want := s.VerifyTruncated(v.Tag, size), v.Valid && size >= mac.MinTruncated; got != want {
		t.Errorf("line %d of %s: VerifyTruncated to %d bytes = %v, want %v", i, v.Source, size, got, want)
	}
}

// TestVectorsAreWhole checks that the file has both kinds of lines of each
// source, so that no half of it can be lost unseen.
func TestVectorsAreWhole(t *testing.T) {
	valid, invalid := map[string]int{}, map[string]int{}
	for _, vectors := range readVectors(t) {
		for _, v := range vectors {
			if v.Valid {
				valid[v.Source]++
			} else {
				invalid[v.Source]++
			}
		}
	}
	sources := []string{"nist-cavp", "rfc2202", "rfc4231", "wycheproof"}
	total := 0
	for source, n := range valid {
		if !slices.Contains(sources, source) {
			t.Errorf("unknown source %q", source)
		}
		total += n + invalid[source]
	}
	if total != 3696 || len(valid) != len(sources) || invalid["wycheproof"] == 0 {
		t.Errorf("got %d lines, valid %v, invalid %v", total, valid, invalid)
	}
}
