package mac_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// hashes are the hash functions by algorithm, for crypto/hmac as the oracle.
var hashes = map[mac.Algorithm]func() hash.Hash{
	mac.SHA256: sha256.New, mac.SHA384: sha512.New384, mac.SHA512: sha512.New, mac.SHA512_256: sha512.New512_256,
	mac.SHA3_256: func() hash.Hash { return sha3.New256() }, mac.SHA1: sha1.New, mac.MD5: md5.New,
}

func oracle(a mac.Algorithm, key, message []byte) []byte {
	h := hmac.New(hashes[a], key)
	h.Write(message)
	return h.Sum(nil)
}

func mustKey(tb testing.TB, a mac.Algorithm, key string) *mac.Key {
	tb.Helper()
	k, err := mac.NewPinned(a, secret.FromString(key))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSum(tb testing.TB, k *mac.Key, message string) []byte {
	tb.Helper()
	tag, err := k.Sum(nil, []byte(message))
	if err != nil {
		tb.Fatal(err)
	}
	return tag
}

// each runs a subtest for each algorithm.
func each(t *testing.T, test func(t *testing.T, a mac.Algorithm)) {
	t.Helper()
	for _, a := range mac.Algorithms() {
		t.Run(a.String(), func(t *testing.T) { test(t, a) })
	}
}

// pseudo returns n bytes that are the same in every run.
func pseudo(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestSelfTest(t *testing.T) {
	if err := mac.SelfTest(); err != nil {
		t.Error(err)
	}
}

func TestNewRefusals(t *testing.T) {
	key := secret.FromString("key")
	tests := []struct {
		name string
		a    mac.Algorithm
		key  secret.Bytes
		want error
		text string
	}{
		{"ZeroAlgorithm", 0, key, mac.ErrUnknownAlgorithm, "unknown algorithm 0"},
		{"AlgorithmBehindTheLast", 8, key, mac.ErrUnknownAlgorithm, "unknown algorithm 8"},
		{"GreatestNumber", 255, key, mac.ErrUnknownAlgorithm, "unknown algorithm 255"},
		{"A01ZeroKey", mac.SHA256, secret.Bytes{}, mac.ErrEmptyKey, "key is empty"},
		{"A01EmptyKey", mac.SHA512, secret.FromString(""), mac.ErrEmptyKey, "key is empty"},
		{"A01RandomOfNoBytes", mac.SHA256, secret.Random(0), mac.ErrEmptyKey, "key is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, open := range map[string]func(mac.Algorithm, secret.Bytes) (*mac.Key, error){
				"New": mac.New, "NewPinned": mac.NewPinned,
			} {
				k, err := open(tt.a, tt.key)
				if !errors.Is(err, tt.want) || k != nil {
					t.Errorf("%s = %v, %v, want %v", name, k, err, tt.want)
				} else if err.Error() != tt.text {
					t.Errorf("%s: error %q, want %q", name, err, tt.text)
				}
			}
		})
	}
}

// TestLegacy: SHA-1 and MD5 verify, but sign only for a scheme that pins them.
func TestLegacy(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		pinned := mustKey(t, a, "key")
		tag := mustSum(t, pinned, "message")
		if !pinned.CanSign() {
			t.Error("a pinned key does not sign")
		}
		k, err := mac.New(a, secret.FromString("key"))
		if err != nil {
			t.Fatal(err)
		}
		if k.Algorithm() != a || k.CanSign() == a.Legacy() {
			t.Errorf("Algorithm = %v, CanSign = %v", k.Algorithm(), k.CanSign())
		}
		if !k.Verify(tag, []byte("message")) {
			t.Error("a key that only verifies does not verify")
		}
		got, err := k.Sum([]byte("dst"), []byte("message"))
		if !a.Legacy() {
			if err != nil || string(got) != "dst"+string(tag) {
				t.Errorf("Sum = %x, %v", got, err)
			}
			return
		}
		if !errors.Is(err, mac.ErrLegacy) || got != nil || !strings.Contains(err.Error(), a.String()) {
			t.Errorf("Sum = %x, %v, want %v with the name", got, err, mac.ErrLegacy)
		}
		s := k.State()
		defer s.Release()
		if got, err := s.Sum(nil); !errors.Is(err, mac.ErrLegacy) || got != nil {
			t.Errorf("State.Sum = %x, %v, want %v", got, err, mac.ErrLegacy)
		}
	})
}

// TestKeyLengths covers keys around the block sizes of the hash functions,
// where HMAC begins to hash the key.
func TestKeyLengths(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		for _, n := range []int{1, 20, 63, 64, 65, 71, 72, 73, 127, 128, 129, 135, 136, 137, 1000} {
			key := pseudo(n)
			k := mustKey(t, a, string(key))
			if got, want := mustSum(t, k, "message"), oracle(a, key, []byte("message")); !bytes.Equal(got, want) {
				t.Errorf("key of %d bytes: got %x, want %x", n, got, want)
			}
		}
	})
}

// TestPieces writes one message in pieces of many sizes, as bytes and as text.
func TestPieces(t *testing.T) {
	message := pseudo(3000)
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		want := oracle(a, []byte("key"), message)
		for _, size := range []int{1, 7, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 2999, 3000, 3001} {
			for name, write := range map[string]func(*mac.State, []byte) (int, error){
				"Write":       (*mac.State).Write,
				"WriteString": func(s *mac.State, p []byte) (int, error) { return s.WriteString(string(p)) },
			} {
				s := k.State()
				for rest := message; len(rest) > 0; {
					p := rest[:min(size, len(rest))]
					rest = rest[len(p):]
					if n, err := write(s, p); n != len(p) || err != nil {
						t.Fatalf("%s of %d bytes = %d, %v", name, len(p), n, err)
					}
				}
				if !s.Verify(want) {
					t.Errorf("%s in pieces of %d bytes gives another tag", name, size)
				}
				s.Release()
			}
		}
	})
}

// TestParts: the parts of a message are joined without anything between.
func TestParts(t *testing.T) {
	k := mustKey(t, mac.SHA256, "key")
	want := mustSum(t, k, "abc")
	for _, parts := range [][]string{{"abc"}, {"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"a", "", "b", "c"}} {
		var in [][]byte
		for _, p := range parts {
			in = append(in, []byte(p))
		}
		if got, err := k.Sum(nil, in...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Sum of %q = %x, %v, want %x", parts, got, err, want)
		}
		if !k.Verify(want, in...) {
			t.Errorf("Verify of %q is false", parts)
		}
	}
	empty := oracle(mac.SHA256, []byte("key"), nil)
	if got, err := k.Sum(nil); err != nil || !bytes.Equal(got, empty) {
		t.Errorf("Sum of no parts = %x, %v, want %x", got, err, empty)
	}
	if !k.Verify(empty) || !k.Verify(empty, nil, []byte{}) {
		t.Error("the tag of the empty message does not verify")
	}
}

// TestStream hands a large message over with io.Copy, as a server does.
func TestStream(t *testing.T) {
	message := pseudo(3<<20 + 1)
	k := mustKey(t, mac.SHA256, "key")
	s := k.State()
	defer s.Release()
	n, err := io.Copy(s, io.LimitReader(bytes.NewReader(message), 1<<40))
	if err != nil || n != int64(len(message)) {
		t.Fatalf("Copy = %d, %v", n, err)
	}
	if n, err := io.WriteString(s, "end"); n != 3 || err != nil {
		t.Fatalf("WriteString = %d, %v", n, err)
	}
	if want := oracle(mac.SHA256, []byte("key"), append(message, "end"...)); !s.Verify(want) {
		t.Error("streamed message has another tag")
	}
}

// TestStateReuse: what a state did before does not reach the next message.
func TestStateReuse(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		one, two := oracle(a, []byte("key"), []byte("one")), oracle(a, []byte("key"), []byte("two"))
		s := k.State()
		_, _ = s.WriteString("one")
		for range 2 {
			if got, err := s.Sum(nil); err != nil || !bytes.Equal(got, one) {
				t.Errorf("Sum = %x, %v, want %x", got, err, one)
			}
		}
		if s.Verify(two) || !s.Verify(one) || s.Verify(two) {
			t.Error("Verify of several tags of one message goes wrong")
		}
		s.Reset()
		_, _ = s.WriteString("two")
		if s.Verify(one) || !s.Verify(two) {
			t.Error("the message before Reset is still there")
		}
		s.Reset()
		_, _ = s.WriteString("half a mess") // given back without a tag
		s.Release()
		for range 4 {
			s = k.State()
			_, _ = s.WriteString("one")
			if !s.Verify(one) {
				t.Error("the message before Release is still there")
			}
			s.Release()
		}
	})
}

// TestSumAppends: the tag goes behind dst and belongs to the caller.
func TestSumAppends(t *testing.T) {
	k := mustKey(t, mac.SHA256, "key")
	want := mustSum(t, k, "message")
	tests := []struct {
		name string
		dst  []byte
	}{
		{"Nil", nil},
		{"NoRoom", []byte("dst")[:3:3]},
		{"SomeRoom", append(make([]byte, 0, 20), "dst"...)},
		{"Room", append(make([]byte, 0, 64), "dst"...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := k.State()
			defer s.Release()
			_, _ = s.WriteString("message")
			got, err := s.Sum(tt.dst)
			if err != nil || string(got) != string(tt.dst)+string(want) {
				t.Fatalf("Sum = %x, %v", got, err)
			}
			clear(got)
			if !s.Verify(want) {
				t.Error("a caller can change the tag of the state through its result")
			}
		})
	}
}

func TestWriteAfterSum(t *testing.T) {
	ends := map[string]func(*mac.State){
		"Sum":             func(s *mac.State) { _, _ = s.Sum(nil) },
		"Verify":          func(s *mac.State) { s.Verify(nil) },
		"VerifyTruncated": func(s *mac.State) { s.VerifyTruncated(nil, 0) },
	}
	writes := map[string]func(*mac.State){
		"Write":            func(s *mac.State) { _, _ = s.Write([]byte("x")) },
		"WriteNothing":     func(s *mac.State) { _, _ = s.Write(nil) },
		"WriteString":      func(s *mac.State) { _, _ = s.WriteString("x") },
		"WriteEmptyString": func(s *mac.State) { _, _ = s.WriteString("") },
	}
	k := mustKey(t, mac.SHA256, "key")
	for end, complete := range ends {
		for name, write := range writes {
			t.Run(end+"/"+name, func(t *testing.T) {
				s := k.State()
				defer s.Release()
				_, _ = s.WriteString("message")
				complete(s)
				defer func() {
					if got := recover(); got != "mac: write after the tag was taken" {
						t.Errorf("recover = %v", got)
					}
					s.Reset()
					write(s) // a new message takes it
				}()
				write(s)
			})
		}
	}
}

// TestA03PrefixOrLength: only the exact full tag passes.
func TestA03PrefixOrLength(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		message := []byte("message")
		tag := mustSum(t, k, "message")
		if !k.Verify(tag, message) {
			t.Fatal("the full tag does not verify")
		}
		for n := range len(tag) {
			if k.Verify(tag[:n], message) {
				t.Errorf("the first %d bytes verify", n)
			}
			if k.Verify(tag[len(tag)-n:], message) {
				t.Errorf("the last %d bytes verify", n)
			}
			wrong := bytes.Clone(tag)
			wrong[n] ^= 1
			if k.Verify(wrong, message) {
				t.Errorf("a tag with another bit in byte %d verifies", n)
			}
		}
		for _, other := range [][]byte{nil, {}, append(bytes.Clone(tag), 0), append([]byte{0}, tag...), append(bytes.Clone(tag), tag...),
			make([]byte, len(tag)), make([]byte, mac.MaxSize)} {
			if k.Verify(other, message) {
				t.Errorf("%x verifies", other)
			}
		}
		for _, b := range mac.Algorithms() {
			if b != a && k.Verify(mustSum(t, mustKey(t, b, "key"), "message"), message) {
				t.Errorf("a tag of %v verifies", b)
			}
		}
	})
}

// TestVerifyTruncated: a cut tag passes only at its declared length, 16 bytes
// at the least.
func TestVerifyTruncated(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		tag := mustSum(t, k, "message")
		long := append(bytes.Clone(tag), make([]byte, 2*mac.MaxSize)...)
		s := k.State()
		defer s.Release()
		_, _ = s.WriteString("message")
		for size := -1; size <= a.Size()+2; size++ {
			for n := range a.Size() + 3 {
				want := n == size && size >= 16 && size <= a.Size()
				if got := s.VerifyTruncated(long[:n], size); got != want {
					t.Errorf("tag of %d bytes, declared %d: got %v, want %v", n, size, got, want)
				}
			}
		}
		for i := range mac.MinTruncated {
			wrong := bytes.Clone(tag[:mac.MinTruncated])
			wrong[i] ^= 0x80
			if s.VerifyTruncated(wrong, mac.MinTruncated) {
				t.Errorf("a cut tag with another bit in byte %d verifies", i)
			}
		}
		for _, size := range []int{1 << 40, -1 << 40} {
			if s.VerifyTruncated(tag, size) {
				t.Errorf("declared size %d verifies", size)
			}
		}
	})
}

// TestA23TagDependsOnMessage: a tag belongs to its message, whole and in part.
func TestA23TagDependsOnMessage(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		seen := map[string]string{}
		for _, message := range []string{"", "a", "b", "ab", "a\x00", "\x00a", "another message", strings.Repeat("a", 1000)} {
			tag := string(mustSum(t, k, message))
			if other, ok := seen[tag]; ok {
				t.Errorf("%.20q and %.20q have one tag", message, other)
			}
			seen[tag] = message
			// What an append-style Sum returns when it is given the message.
			misuse := append([]byte(message), oracle(a, []byte("key"), nil)...)
			if message != "" && k.Verify(misuse, []byte(message)) || message != "" && k.Verify(misuse[len(message):], []byte(message)) {
				t.Errorf("the MAC of nothing verifies %.20q", message)
			}
		}
		other := mustKey(t, a, "another key")
		for tag, message := range seen {
			if other.Verify([]byte(tag), []byte(message)) {
				t.Errorf("%.20q verifies under another key", message)
			}
		}
	})
}

func TestEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		want bool
	}{
		{"Empty", "", "", true},
		{"Same", "tag", "tag", true},
		{"FirstByte", "tag", "xag", false},
		{"LastByte", "tag", "tax", false},
		{"OneBit", "\x00", "\x80", false},
		{"Prefix", "ta", "tag", false},
		{"Longer", "tag", "ta", false},
		{"EmptyAgainstOne", "", "t", false},
		{"Case", "TAG", "tag", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mac.Equal([]byte(tt.a), []byte(tt.b)); got != tt.want {
				t.Errorf("Equal(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
			}
		})
	}
	if !mac.Equal(nil, []byte{}) {
		t.Error("nil and empty differ")
	}
}

// TestKeyIsOfItsSecret: what happens to the bytes that a secret was made of
// does not change the key, also not in states that are made later.
func TestKeyIsOfItsSecret(t *testing.T) {
	raw := []byte("key")
	k, err := mac.New(mac.SHA256, secret.New(raw))
	if err != nil {
		t.Fatal(err)
	}
	clear(raw)
	want := oracle(mac.SHA256, []byte("key"), []byte("message"))
	first, second := k.State(), k.State() // two at once, so that one is new
	defer first.Release()
	defer second.Release()
	for _, s := range []*mac.State{first, second} {
		_, _ = s.WriteString("message")
		if !s.Verify(want) {
			t.Error("the key changed with the caller's bytes")
		}
	}
}

// TestConcurrency is for the race detector: one key, many goroutines.
func TestConcurrency(t *testing.T) {
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				var buf [mac.MaxSize]byte
				for i := range 50 {
					message := fmt.Appendf(nil, "message %d of %d", i, g)
					want := oracle(a, []byte("key"), message)
					if got, err := k.Sum(buf[:0], message); err != nil || !bytes.Equal(got, want) {
						t.Errorf("Sum = %x, %v, want %x", got, err, want)
					}
					if !k.Verify(want, message) || k.Verify(want, message, message) {
						t.Error("Verify goes wrong beside others")
					}
				}
			})
		}
		wg.Wait()
	})
}

// FuzzSum holds every algorithm, in any cut, against crypto/hmac.
func FuzzSum(f *testing.F) {
	f.Add([]byte("key"), []byte("message"), uint16(3))
	f.Add([]byte{0}, []byte{}, uint16(0))
	f.Add(pseudo(200), pseudo(700), uint16(257))
	f.Fuzz(func(t *testing.T, key, message []byte, at uint16) {
		cut := min(int(at), len(message))
		for _, a := range mac.Algorithms() {
			k, err := mac.NewPinned(a, secret.New(key))
			if len(key) == 0 {
				if !errors.Is(err, mac.ErrEmptyKey) {
					t.Fatalf("NewPinned of an empty key: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			want := oracle(a, key, message)
			got, err := k.Sum(nil, message[:cut], message[cut:])
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v: Sum = %x, %v, want %x", a, got, err, want)
			}
			if !k.Verify(want, message) || k.Verify(want, message, []byte{0}) {
				t.Errorf("%v: Verify goes wrong", a)
			}
		}
	})
}

func ExampleKey_Sum() {
	key, err := mac.New(mac.SHA256, secret.FromString("Jefe"))
	if err != nil {
		fmt.Println(err)
		return
	}
	tag, err := key.Sum(nil, []byte("what do ya want for nothing?")) // RFC 4231, test case 2
	fmt.Println(hex.EncodeToString(tag), err)
	fmt.Println(key.Verify(tag, []byte("what do ya want for "), []byte("nothing?")))
	// Output:
	// 5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 <nil>
	// true
}

func ExampleState() {
	key, err := mac.New(mac.SHA256, secret.FromString("Jefe"))
	if err != nil {
		fmt.Println(err)
		return
	}
	s := key.State()
	defer s.Release()
	if _, err := io.Copy(s, strings.NewReader("what do ya want for nothing?")); err != nil {
		fmt.Println(err)
		return
	}
	tag, err := s.Sum(nil)
	fmt.Println(len(tag), err)
	// Output: 32 <nil>
}
