package transit_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// against says what the tests do not show.
const against = "a fake of the transit engine: no policies, mounts, namespaces, key types, audit, TLS or seals"

// fake answers as the transit engine does to encrypt, decrypt, hmac and
// verify. Paths, fields and texts of errors are those of the API documentation
// (https://openbao.org/api-docs/secret/transit/) and of the OpenBao source
// (MPL-2.0). It is not OpenBao: see against. Of tokens it knows one.
type fake struct {
	*httptest.Server
	token string

	mu   sync.Mutex
	keys map[string]*fakeKey
	seen []http.Header
}

// fakeKey is a key with its versions, the first of which has number 1.
type fakeKey struct {
	versions [][]byte
	oldest   int // that decrypts; 0 means 1
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{token: "token", keys: map[string]*fakeKey{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// add adds a version with this material, or a random one for nil.
func (f *fake) add(name string, material []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if material == nil {
		material = make([]byte, 32)
		rand.Read(material)
	}
	if f.keys[name] == nil {
		f.keys[name] = &fakeKey{}
	}
	f.keys[name].versions = append(f.keys[name].versions, material)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Header)
	var in map[string]any
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	switch {
	case r.Header.Get("X-Vault-Token") != f.token:
		refuse(w, http.StatusForbidden, "permission denied")
		return
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		refuse(w, http.StatusBadRequest, "failed to parse JSON input")
		return
	case r.Method != "PUT" && r.Method != "POST" || path[0] != "transit" || len(path) < 3:
		refuse(w, http.StatusNotFound, "no handler for route")
		return
	}
	key := f.keys[path[2]]
	if key == nil {
		refuse(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	data, err := key.do(strings.Join(append(path[1:2], path[3:]...), "/"), in)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
}

func (k *fakeKey) do(operation string, in map[string]any) (map[string]any, error) {
	switch operation {
	case "encrypt":
		return k.encrypt(bytesOf(in, "plaintext"), bytesOf(in, "associated_data"))
	case "decrypt":
		return k.decrypt(textOf(in, "ciphertext"), bytesOf(in, "associated_data"))
	case "hmac/sha2-256":
		version, _ := in["key_version"].(float64)
		return k.hmac(int(version), bytesOf(in, "input"))
	case "verify/sha2-256":
		version, tag, err := k.split(textOf(in, "hmac"))
		if err != nil {
			return nil, err
		}
		want, err := k.hmac(version, bytesOf(in, "input"))
		if err != nil {
			return nil, err
		}
		return map[string]any{"valid": want["hmac"] == text(version, tag)}, nil
	}
	return nil, fmt.Errorf("unsupported path %s", operation)
}

func (k *fakeKey) encrypt(plain, aad []byte) (map[string]any, error) {
	version := len(k.versions)
	aead := gcm(k.versions[version-1])
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return map[string]any{"ciphertext": text(version, aead.Seal(nonce, nonce, plain, aad)), "key_version": version}, nil
}

func (k *fakeKey) decrypt(ciphertext string, aad []byte) (map[string]any, error) {
	version, sealed, err := k.split(ciphertext)
	if err != nil {
		return nil, err
	}
	if version < k.oldest {
		return nil, fmt.Errorf("ciphertext or signature version is disallowed by policy (too old)")
	}
	aead := gcm(k.versions[version-1])
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("invalid ciphertext length")
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], aad)
	if err != nil {
		return nil, err // cipher: message authentication failed
	}
	return map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}, nil
}

func (k *fakeKey) hmac(version int, input []byte) (map[string]any, error) {
	if version < 1 || version > len(k.versions) {
		return nil, fmt.Errorf("cannot generate HMAC: version is too new or too old")
	}
	h := hmac.New(sha256.New, k.versions[version-1])
	h.Write(input)
	return map[string]any{"hmac": text(version, h.Sum(nil))}, nil
}

// split reads what text wrote.
func (k *fakeKey) split(s string) (version int, b []byte, err error) {
	rest, ok := strings.CutPrefix(s, "vault:v")
	if !ok {
		return 0, nil, fmt.Errorf("invalid ciphertext: no prefix")
	}
	number, encoded, _ := strings.Cut(rest, ":")
	if version, err = strconv.Atoi(number); err != nil {
		return 0, nil, fmt.Errorf("invalid ciphertext: version number could not be decoded")
	}
	if version > len(k.versions) {
		return 0, nil, fmt.Errorf("invalid ciphertext: version is too new")
	}
	if b, err = base64.StdEncoding.DecodeString(encoded); err != nil {
		return 0, nil, fmt.Errorf("invalid ciphertext: could not decode base64")
	}
	return version, b, nil
}

func text(version int, b []byte) string {
	return fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(b))
}

func textOf(in map[string]any, name string) string {
	s, _ := in[name].(string)
	return s
}

func bytesOf(in map[string]any, name string) []byte {
	b, err := base64.StdEncoding.DecodeString(textOf(in, name))
	if err != nil {
		panic(err) // a request that no server would take
	}
	return b
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
