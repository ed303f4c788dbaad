package awskms_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/awskms"
	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
)

func open(t *testing.T, c awskms.Config) *awskms.Client {
	t.Helper()
	client, err := awskms.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return client
}

func TestConformance(t *testing.T) {
	s := start(t)
	t.Run("Wrap", func(t *testing.T) {
		kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
			address, away := s.Proxy(t)
			return kmstest.Subject{
				Wrapper: open(t, awskms.Config{Key: s.root, Endpoint: address}), Against: against,
				Unknown: "awskms:" + s.gone, Break: away, // TestErrors has the other key
			}
		})
	})
	t.Run("MAC", func(t *testing.T) {
		kmstest.MAC(t, func(t *testing.T) kmstest.MACSubject {
			c := open(t, awskms.Config{Endpoint: s.URL}) // without a key to wrap with
			if blob, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable || blob != nil {
				t.Errorf("Wrap: got %d bytes, %v, want kind %v", len(blob), err, fault.Unavailable)
			}
			return kmstest.MACSubject{MAC: c, Against: against, Key: s.mac, Other: s.mac2, Unknown: s.gone, Make: c.MakeKey}
		})
	})
	t.Run("Alias", func(t *testing.T) {
		c := open(t, awskms.Config{Key: "alias/root", Endpoint: s.URL})
		if _, keyID, err := c.Wrap(t.Context(), secret.FromString("k"), nil); keyID != "awskms:"+s.root || err != nil {
			t.Errorf("Wrap: got key ID %q, %v, want that of %s", keyID, err, s.root)
		}
	})
	t.Run("KeyForOtherUse", func(t *testing.T) {
		c := open(t, awskms.Config{Key: s.root, Endpoint: s.URL})
		if tag, err := c.MAC(t.Context(), s.root, kms.Digest{}); fault.KindOf(err) != fault.Unavailable || tag != nil {
			t.Errorf("MAC with a key for encryption: got %d bytes, %v", len(tag), err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	client, err := awskms.Open(t.Context(), awskms.Config{Key: "k"})
	if client != nil || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "needs a region") {
		t.Errorf("Open: got %v, want that a region is needed", err)
	}
}

// answer returns a client of a service that gives one answer to every request,
// which it hands to see.
func answer(t *testing.T, status int, body string, see func(http.Header, map[string]any)) *awskms.Client {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var got map[string]any
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil {
			t.Errorf("request: %v", err)
		}
		if see != nil {
			see(r.Header, got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return open(t, awskms.Config{Key: "k", Region: "eu-central-1", Endpoint: s.URL})
}

// TestErrors has the errors of the API reference that moto does not give.
// Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func TestErrors(t *testing.T) {
	for code, want := range map[string]fault.Kind{
		"IncorrectKeyException": fault.Internal, "InvalidCiphertextException": fault.Internal,
		"DisabledException": fault.Unavailable, "KMSInvalidStateException": fault.Unavailable, "NotFoundException": fault.Unavailable,
		"AccessDeniedException": fault.Unavailable, "InvalidKeyUsageException": fault.Unavailable, "NewException": fault.Unavailable,
	} {
		c := answer(t, http.StatusBadRequest, `{"__type":"`+code+`","message":"m"}`, nil)
		if got, err := c.Unwrap(t.Context(), "awskms:k", []byte("blob"), nil); fault.KindOf(err) != want || !got.IsZero() {
			t.Errorf("%s: got %d bytes, %v, want kind %v", code, got.Len(), err, want)
		}
		if _, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); code != "IncorrectKeyException" && fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Wrap with %s: got %v, want kind %v", code, err, fault.Unavailable)
		}
	}
	c := answer(t, http.StatusOK, `{"Mac":"AAAA"}`, nil)
	if tag, err := c.MAC(t.Context(), "k", kms.Digest{}); fault.KindOf(err) != fault.Unavailable || tag != nil {
		t.Errorf("MAC with a short answer: got %d bytes, %v", len(tag), err)
	}
	c = answer(t, http.StatusOK, `{}`, nil)
	if key, err := c.MakeKey(t.Context(), "label"); fault.KindOf(err) != fault.Unavailable || key != "" {
		t.Errorf("MakeKey with an answer that names no key: got %q, %v", key, err)
	}
	if ok, err := c.Verify(t.Context(), "k", kms.Digest{}, make([]byte, 32)); ok || err != nil {
		t.Errorf("Verify with an answer that does not say valid: got %t, %v", ok, err)
	}
}

// TestRequests holds what is sent: the hash of the additional data, computed
// with `printf aad | sha256sum`, and never more than the digest string.
func TestRequests(t *testing.T) {
	var got map[string]any
	var header http.Header
	c := answer(t, http.StatusOK, `{"KeyId":"arn:k","CiphertextBlob":"AAAA","Plaintext":"AAAA","Mac":"`+strings.Repeat("A", 43)+`="}`,
		func(h http.Header, body map[string]any) { header, got = h, body })
	_, keyID, err := c.Wrap(t.Context(), secret.FromString("k"), []byte("aad"))
	check(t, err)
	context, _ := got["EncryptionContext"].(map[string]any)
	const want = "d0128e296de3da59e3848674f0699d139fa9eafa654b8bdac7c388e10aca33ba"
	if len(context) != 1 || context["sealwright-aad-sha256"] != want || got["KeyId"] != "k" || header.Get("X-Amz-Target") != "TrentService.Encrypt" {
		t.Errorf("Encrypt: got %v", got)
	}
	if _, err := c.Unwrap(t.Context(), keyID, []byte("blob"), []byte("aad")); err != nil || got["KeyId"] != "arn:k" {
		t.Errorf("Decrypt: got %v, %v, want the key that the ID names", got, err)
	}
	if _, err := c.MAC(t.Context(), "m", kms.Digest{}); err != nil || got["MacAlgorithm"] != "HMAC_SHA_256" || got["KeyId"] != "m" {
		t.Errorf("GenerateMac: got %v, %v", got, err)
	}
	got = nil
	long := kms.Digest{Key: strings.Repeat("k", 4096)} // moto takes more than AWS
	if _, err := c.MAC(t.Context(), "m", long); fault.KindOf(err) != fault.Invalid || got != nil {
		t.Errorf("GenerateMac of more than 4,096 bytes: sent %v, %v, want kind %v", got, err, fault.Invalid)
	}
	if _, err := c.MakeKey(t.Context(), "label"); err == nil || got["KeySpec"] != "HMAC_256" || got["KeyUsage"] != "GENERATE_VERIFY_MAC" || got["Description"] != "label" {
		t.Errorf("CreateKey: sent %v, %v", got, err)
	}
}
