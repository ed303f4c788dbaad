package local_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
)

// Root keys for files written by the tests, and their IDs, computed with
// `openssl dgst -sha256 -mac HMAC -macopt hexkey:…` of "sealwright root key id".
var (
	rootA = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x0a}, local.KeySize))
	rootB = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x0b}, local.KeySize))
)

const (
	idA = "409a909b22d64a9a"
	idB = "13b76e2a91d3ec5a"
)

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *local.Wrapper {
	t.Helper()
	w, err := local.Load(path)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return w
}

func wrap(t *testing.T, w *local.Wrapper, plain, aad string) (blob []byte, keyID string) {
	t.Helper()
	blob, keyID, err := w.Wrap(t.Context(), secret.FromString(plain), []byte(aad))
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return blob, keyID
}

func TestWrap(t *testing.T) {
	w := load(t, write(t, rootA+"\n"))
	const plain = "a data key of thirty-two bytes.."
	blob, keyID := wrap(t, w, plain, "aad")
	if keyID != idA || keyID != w.KeyID() {
		t.Errorf("Wrap: got key ID %s, want %s", keyID, idA)
	}
	if bytes.Contains(blob, []byte(plain[:8])) {
		t.Errorf("Wrap: the blob shows what it wraps")
	}
	if again, _ := wrap(t, w, plain, "aad"); bytes.Equal(blob[:12], again[:12]) {
		t.Errorf("Wrap: one nonce came twice")
	}
	got, err := w.Unwrap(t.Context(), keyID, blob, []byte("aad"))
	if err != nil || string(got.Expose()) != plain {
		t.Errorf("Unwrap: got %d bytes, %v", got.Len(), err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	w := load(t, write(t, rootB+"\n"+rootA+"\n"))
	blob, keyID := wrap(t, w, "plain", "aad")
	changed := bytes.Clone(blob)
	changed[len(changed)-1] ^= 1
	tests := []struct {
		name      string
		keyID     string
		blob, aad string
		want      fault.Kind
	}{
		{"OtherAAD", keyID, string(blob), "aae", fault.Internal},
		{"NoAAD", keyID, string(blob), "", fault.Internal},
		{"Changed", keyID, string(changed), "aad", fault.Internal},
		{"Shortened", keyID, string(blob[:len(blob)-1]), "aad", fault.Internal},
		{"OnlyANonce", keyID, string(blob[:12]), "aad", fault.Internal},
		{"Empty", keyID, "", "aad", fault.Internal},
		{"OtherKeyOfTheFile", idB, string(blob), "aad", fault.Internal},
		{"UnknownKey", "0123456789abcdef", string(blob), "aad", fault.Unavailable},
		{"NoKeyID", "", string(blob), "aad", fault.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.Unwrap(t.Context(), tt.keyID, []byte(tt.blob), []byte(tt.aad))
			if fault.KindOf(err) != tt.want || !got.IsZero() {
				t.Errorf("Unwrap: got %d bytes, error %v, want kind %v", got.Len(), err, tt.want)
			}
		})
	}
}

func TestWrongRootKeyIsTold(t *testing.T) {
	blob, keyID := wrap(t, load(t, write(t, rootA)), "plain", "aad")
	path := write(t, rootB)
	_, err := load(t, path).Unwrap(t.Context(), keyID, blob, []byte("aad"))
	if want := "root key in " + path + " has id " + idB + ", the store was made with " + idA; fault.Public(err) != want {
		t.Errorf("Unwrap: got %q, want %q", fault.Public(err), want)
	}
	id, err := local.Add(path)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	_, err = load(t, path).Unwrap(t.Context(), keyID, blob, []byte("aad"))
	if want := "root keys in " + path + " have ids " + id + " and " + idB + ", the store was made with " + idA; fault.Public(err) != want {
		t.Errorf("Unwrap: got %q, want %q", fault.Public(err), want)
	}
}

func TestNewestKeyWraps(t *testing.T) {
	path := write(t, rootA)
	w := load(t, path)
	blob, keyID := wrap(t, w, "plain", "aad")
	id, err := local.Add(path)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	if w.KeyID() != idA {
		t.Errorf("KeyID before Reload: got %s, want %s", w.KeyID(), idA)
	}
	if err := w.Reload(); err != nil {
		t.Fatalf("Reload: %v", err)
	}
	for name, w := range map[string]*local.Wrapper{"Reloaded": w, "Loaded": load(t, path)} {
		if w.KeyID() != id || id == idA {
			t.Errorf("%s: KeyID: got %s, want %s", name, w.KeyID(), id)
		}
		if got, err := w.Unwrap(t.Context(), keyID, blob, []byte("aad")); err != nil || string(got.Expose()) != "plain" {
			t.Errorf("%s: Unwrap under the older key: %v", name, err)
		}
		if _, got := wrap(t, w, "plain", "aad"); got != id {
			t.Errorf("%s: Wrap: got key ID %s, want %s", name, got, id)
		}
	}
	checkFile(t, path)
}

// checkFile checks the mode of a file of root keys, and that nothing else lies
// in its folder.
func checkFile(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("Stat: got mode %v, %v, want 0600", info.Mode(), err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("ReadDir: got %v, %v, want only the file", files, err)
	}
}

func TestLoad(t *testing.T) {
	for name, text := range map[string]string{
		"Plain":             rootA,
		"FinalNewline":      rootA + "\n",
		"CommentsAndBlanks": "# a comment\n\n  \n\t" + rootA + " \n#" + rootB + "\n",
		"WindowsLineEnds":   "# a comment\r\n" + rootA + "\r\n",
		"LastOfTwo":         rootB + "\n" + rootA + "\n",
	} {
		if w, err := local.Load(write(t, text)); err != nil || w.KeyID() != idA {
			t.Errorf("%s: Load: got %v, want key %s", name, err, idA)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x5a}, n)) }
	var many strings.Builder
	for i := range local.MaxKeys + 1 {
		fmt.Fprintln(&many, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, local.KeySize)))
	}
	tests := []struct {
		name string
		text string
		want string
	}{
		{"Empty", "", "got 0 root keys, want 1 to 64"},
		{"OnlyComments", "# " + rootA + "\n", "got 0 root keys, want 1 to 64"},
		{"TooMany", many.String(), "got 65 root keys, want 1 to 64"},
		{"TooShort", "\n" + key(31), "line 2: root key has 31 bytes, want 32"},
		{"TooLong", key(33), "line 1: root key has 33 bytes, want 32"},
		{"NotBase64", "# x\n\nWlpaWlpa Wlpa", "line 3: not a root key in padded base64"},
		{"Hex", strings.Repeat("5a", 32), "line 1: root key has 48 bytes, want 32"},
		{"NoPadding", strings.TrimRight(key(32), "="), "line 1: not a root key in padded base64"},
		{"Twice", rootA + "\n" + rootB + "\n" + rootA, "line 3: root key " + idA + " stands there twice"},
		{"BadOlderKey", key(31) + "\n" + rootA, "line 1: root key has 31 bytes, want 32"},
		{"FileTooLong", strings.Repeat("#\n", 40_000) + rootA, "has more than 65536 bytes"},
		{"Binary", "\x00\x01\x02\xff", "line 1: not a root key in padded base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := local.Load(path)
			got := fault.Public(err)
			if !errors.Is(err, fault.Unavailable) || !strings.Contains(got, tt.want) || !strings.Contains(got, path) {
				t.Errorf("Load: got %q, want %q and the path", got, tt.want)
			}
			if strings.Contains(err.Error(), "Wlpa") || strings.Contains(err.Error(), "5a5a") {
				t.Errorf("Load: the error shows the file: %v", err)
			}
			if _, err := local.LoadOrCreate(path, nil); err == nil {
				t.Errorf("LoadOrCreate: got no error")
			}
			if _, err := local.Add(path); err == nil {
				t.Errorf("Add: got no error")
			}
		})
	}
}

func TestLoadMode(t *testing.T) {
	for mode, want := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o602: false, 0o601: false} {
		path := write(t, rootA)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := local.Load(path)
		if (err == nil) != want || (err != nil && !strings.Contains(fault.Public(err), "want a file closed to others")) {
			t.Errorf("Load of a file of mode %o: got %v, want allowed %v", mode, err, want)
		}
	}
	if _, err := local.Load(t.TempDir()); err == nil {
		t.Errorf("Load of a folder: got no error")
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if _, err := local.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of no file: got %v, want fs.ErrNotExist in the chain", err)
	}
	if _, err := local.LoadOrCreate(path, []string{idA, idB}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fault.Public(err), idA+" and "+idB) {
		t.Errorf("LoadOrCreate while keys are in use: got %v, want their IDs", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadOrCreate while keys are in use made a file")
	}
	w, err := local.LoadOrCreate(path, nil)
	if err != nil {
		t.Fatalf("LoadOrCreate: %v", err)
	}
	checkFile(t, path)
	again, err := local.LoadOrCreate(path, []string{w.KeyID()})
	if err != nil || again.KeyID() != w.KeyID() {
		t.Errorf("LoadOrCreate again: got another key, %v", err)
	}
	second, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil || second.KeyID() == w.KeyID() {
		t.Errorf("LoadOrCreate elsewhere: got the same key, %v", err)
	}
	if _, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "no", "root.key"), nil); err == nil {
		t.Errorf("LoadOrCreate in a folder that does not exist: got no error")
	}
}

// The file says to its reader what it is, and holds 32 random bytes.
func TestCreatedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if _, err := local.LoadOrCreate(path, nil); err != nil {
		t.Fatalf("LoadOrCreate: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "# ") || lines[2] != "" {
		t.Fatalf("file has %d lines", len(lines))
	}
	if key, err := base64.StdEncoding.DecodeString(lines[1]); err != nil || len(key) != local.KeySize || bytes.Equal(key, make([]byte, local.KeySize)) {
		t.Errorf("root key has %d bytes, %v", len(key), err)
	}
}

// Reload that fails keeps the keys that work.
func TestReloadRefuses(t *testing.T) {
	path := write(t, rootA)
	w := load(t, path)
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Reload(); err == nil {
		t.Errorf("Reload of a damaged file: got no error")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reload of no file: got %v", err)
	}
	if w.KeyID() != idA {
		t.Errorf("KeyID: got %s, want %s", w.KeyID(), idA)
	}
}

func TestAdd(t *testing.T) {
	path := write(t, "# mine\n"+rootB+"\n"+rootA) // without a final newline
	id, err := local.Add(path)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "# mine\n" + rootB + "\n" + rootA + "\n"; !strings.HasPrefix(string(text), want) {
		t.Errorf("Add did not keep what was there")
	}
	if w := load(t, path); w.KeyID() != id {
		t.Errorf("KeyID: got %s, want %s", w.KeyID(), id)
	}
	checkFile(t, path)
	if _, err := local.Add(filepath.Join(t.TempDir(), "root.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Add to no file: got %v, want fs.ErrNotExist", err)
	}
}

func TestAddToAFullFile(t *testing.T) {
	var full strings.Builder
	for i := range local.MaxKeys {
		fmt.Fprintln(&full, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, local.KeySize)))
	}
	path := write(t, full.String())
	if _, err := local.Add(path); err == nil || !strings.Contains(fault.Public(err), "cannot take another key") {
		t.Errorf("Add: got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != full.String() {
		t.Errorf("Add changed the file, %v", err)
	}
	load(t, path)
	checkFile(t, path)
}

// Nothing that prints a wrapper shows a root key.
func TestPrint(t *testing.T) {
	w := load(t, write(t, rootA))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text := fmt.Sprintf(verb, w)
		if strings.Contains(text, rootA[:16]) || strings.Contains(text, "0a0a0a0a") {
			t.Errorf("Sprintf(%s) shows the root key", verb)
		}
	}
}

func TestParse(t *testing.T) {
	w, err := local.Parse("env:ROOT", secret.FromString(rootA+"\n# a remark\n"+rootB))
	if err != nil || w.KeyID() != idB {
		t.Fatalf("Parse: got %v", err)
	}
	blob, keyID := wrap(t, load(t, write(t, rootA)), "plain", "aad")
	if got, err := w.Unwrap(t.Context(), keyID, blob, []byte("aad")); err != nil || string(got.Expose()) != "plain" {
		t.Errorf("Unwrap under the first line: %v", err)
	}
	if err := w.Reload(); err != nil || w.KeyID() != idB {
		t.Errorf("Reload: got %v and key %s", err, w.KeyID())
	}
	_, err = w.Unwrap(t.Context(), "0123456789abcdef", blob, []byte("aad"))
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "root keys in env:ROOT have ids "+idB+" and "+idA) {
		t.Errorf("Unwrap under another key: got %v", err)
	}
	for name, text := range map[string]string{"Empty": "", "Short": rootA[:20], "Twice": rootA + "\n" + rootA, "OneLine": rootA + " " + rootB} {
		_, err := local.Parse("env:ROOT", secret.FromString(text))
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "env:ROOT") || strings.Contains(err.Error(), rootA[:20]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
