package replay_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
)

func key(t testing.TB, fill byte) *replay.Key {
	t.Helper()
	k, err := replay.NewKey(secret.FromString(strings.Repeat(string(rune(fill)), replay.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The ID is the beginning of HMAC-SHA256 over each field behind its length, as
// a big-endian number of 8 bytes.
func TestID(t *testing.T) {
	fields := []string{"stripe", "k1", strings.Repeat("n", 1000), ""}
	mac := hmac.New(sha256.New, []byte(strings.Repeat("a", replay.KeySize)))
	for _, f := range fields {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		mac.Write([]byte(f))
	}
	want := mac.Sum(nil)
	got := key(t, 'a').ID(fields...)
	if got != replay.ID(want[:16]) {
		t.Errorf("ID: got %x, want %x", got, want[:16])
	}
	if short := got.Short(); short != binary.BigEndian.Uint64(want) {
		t.Errorf("Short: got %x, want %x", short, want[:8])
	}
	if short := (replay.ID{15: 9}).Short(); short != 1 {
		t.Errorf("Short of 0: got %d, want 1", short)
	}
}

// TestA07_Fields: no two lists of fields have the same ID.
func TestA07_Fields(t *testing.T) {
	k := key(t, 'a')
	seen := map[replay.ID]string{}
	for _, fields := range [][]string{
		{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"ab", "", "c"}, {"ab", "c", ""}, {"a\x00\x00\x00\x00\x00\x00\x00\x01b"},
	} {
		text := strings.Join(fields, "|")
		id := k.ID(fields...)
		if other, ok := seen[id]; ok {
			t.Errorf("%q has the ID of %q", text, other)
		}
		seen[id] = text
	}
	if k.ID("a") == key(t, 'b').ID("a") {
		t.Error("two keys make the same ID")
	}
}

func TestNewKeyRefuses(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33, 64} {
		if _, err := replay.NewKey(secret.Random(size)); err == nil {
			t.Errorf("NewKey with %d bytes: got no error", size)
		}
	}
}

func TestOutcomeString(t *testing.T) {
	seen := map[string]bool{}
	for o := replay.Outcome(0); o <= replay.Outside+1; o++ {
		if s := o.String(); s == "" || seen[s] {
			t.Errorf("outcome %d: got %q", uint8(o), s)
		} else {
			seen[s] = true
		}
	}
}
