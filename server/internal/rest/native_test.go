package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// vault is a key service in memory, a double: it has every key that begins
// with "k", and its secret is the name.
type vault struct {
	away  atomic.Bool
	hangs atomic.Bool // until the context ends
	calls atomic.Int64
}

func (v *vault) MAC(ctx context.Context, key string, d kms.Digest) ([]byte, error) {
	v.calls.Add(1)
	if v.hangs.Load() {
		<-ctx.Done()
		return nil, fault.New(fault.Unavailable, "vault was not asked").Because(ctx.Err())
	}
	if v.away.Load() || !strings.HasPrefix(key, "k") {
		return nil, fault.New(fault.Unavailable, "vault does not sign with %s", key)
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	k, err := mac.New(mac.SHA256, secret.FromString(key))
	if err != nil {
		return nil, err
	}
	return k.Sum(nil, text)
}

func (v *vault) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	want, err := v.MAC(ctx, key, d)
	return err == nil && mac.Equal(want, tag), err
}

func (v *vault) make(context.Context, string) (string, error) {
	return fmt.Sprintf("k-made-%d", v.calls.Add(1)), nil
}

// startNative serves the API with a key service, and a native key "orders". A
// request has the time of limit for the key service, 0 for the default.
func startNative(t *testing.T, limit time.Duration) (*fixture, *vault) {
	t.Helper()
	v := &vault{}
	f := start(t, func(o *rest.Options) {
		o.Limits.Device = limit
		root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Keys, err = custody.Open(t.Context(), custody.Options{
			Store: memory.New(), Wrapper: root, FirstDevice: "vault", Devices: map[string]kms.Device{"vault": {MAC: v, Make: v.make}},
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	f.must(t, "POST", "/v1/keys", `{"name":"orders","native":{"key":"k-1"}}`)
	return f, v
}

// nativeTag is the tag of text by a version of orders, computed here.
func nativeTag(t *testing.T, key, text string, version int) string {
	t.Helper()
	k, err := mac.New(mac.SHA256, secret.FromString(key))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := k.Sum(nil, fmt.Appendf(nil, "sealwright-native-mac-v1\nhmac-sha256\ndefault\norders\n%d\n%x\n", version, sha256.Sum256([]byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(tag)
}

// TestNativeKey takes a native key through all that it can do.
func TestNativeKey(t *testing.T) {
	f, _ := startNative(t, 0)
	k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/orders", ""))
	if k.Construction != "sealwright-native-mac-v1" || k.Versions[0].Native == nil || *k.Versions[0].Native != (api.NativeKey{Provider: "vault", Key: "k-1"}) || k.Versions[0].Bytes != 0 {
		t.Errorf("GET: got %+v", k)
	}
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/orders/sign", `{"text":"hello"}`))
	if s.Tag != nativeTag(t, "k-1", "hello", 1) || s.Covers != "digest" || s.Construction != "sealwright-native-mac-v1" ||
		!strings.HasPrefix(s.Signature, "SEALWRIGHT-NATIVE-MAC-V1=") || !strings.HasSuffix(s.Signature, ", keyId=orders, version=1") {
		t.Errorf("sign: got %+v", s)
	}
	raw := []string{"Content-Type", "application/octet-stream"}
	if got := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/orders/sign", "hello", raw...)); got != s {
		t.Errorf("sign of a stream: got %+v, want %+v", got, s)
	}
	large := strings.Repeat("0123456789abcdef", 1<<16) // far more than a key service takes
	if got := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/orders/sign", large, raw...)); got.Tag != nativeTag(t, "k-1", large, 1) {
		t.Errorf("sign of 1 MiB: got %+v", got)
	}
	batch := decode[api.SignedBatch](t, f.must(t, "POST", "/v1/keys/orders/sign", `{"items":[{"text":"hello"},{"message":"?"},{"text":"b","encoding":"base64"}]}`))
	if len(batch.Items) != 3 || batch.Items[0] != s || batch.Items[1].Error == nil || batch.Items[2].Covers != "digest" {
		t.Errorf("sign of a batch: got %+v", batch)
	}

	rotated := decode[api.Key](t, f.must(t, "POST", "/v1/keys/orders/rotate", `{"native":{"key":"k-2"}}`))
	if rotated.Version != 2 || rotated.Versions[1].Native.Key != "k-2" {
		t.Errorf("rotate: got %+v", rotated)
	}
	rotated = decode[api.Key](t, f.must(t, "POST", "/v1/keys/orders/rotate", ""))
	if rotated.Version != 3 || !strings.HasPrefix(rotated.Versions[2].Native.Key, "k-made-") {
		t.Errorf("rotate with a key that is made: got %+v", rotated)
	}
	plain := strings.Replace(s.Signature, "SEALWRIGHT-NATIVE-MAC-V1", "HMAC-SHA256", 1)
	for _, tt := range []struct {
		name, body string
		version    int
		reason     string
	}{
		{"Tag", `{"text":"hello","tag":"` + s.Tag + `"}`, 1, ""},
		{"Signature", `{"text":"hello","signature":"` + s.Signature + `"}`, 1, ""},
		{"OtherMessage", `{"text":"hallo","tag":"` + s.Tag + `"}`, 0, "wrong-signature"},
		{"OtherMessageOfSignature", `{"text":"hallo","signature":"` + s.Signature + `"}`, 1, "wrong-signature"},
		{"A06-PlainHMAC", `{"text":"hello","signature":"` + plain + `"}`, 1, "policy"},
		{"OtherVersion", `{"text":"hello","signature":"` + strings.Replace(s.Signature, "version=1", "version=2", 1) + `"}`, 2, "wrong-signature"},
		{"NoSuchVersion", `{"text":"hello","signature":"` + strings.Replace(s.Signature, "version=1", "version=9", 1) + `"}`, 9, "unknown-key"},
		{"A03-ShortTag", `{"text":"hello","tag":"` + s.Tag[:32] + `"}`, 0, "malformed"},
	} {
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/orders/verify", tt.body))
		if v.Valid != (tt.reason == "") || v.Reason != tt.reason || v.Version != tt.version || v.Covers != "digest" || v.Construction != "sealwright-native-mac-v1" {
			t.Errorf("%s: got %+v, want version %d and reason %q", tt.name, v, tt.version, tt.reason)
		}
	}
	for name, header := range map[string][]string{"Tag": {"Sealwright-Tag", s.Tag}, "Signature": {"Sealwright-Signature", s.Signature}} {
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/orders/verify", "hello", append(header, raw...)...))
		if !v.Valid || v.Version != 1 || v.State != "grace" || v.Covers != "digest" {
			t.Errorf("stream with %s: got %+v", name, v)
		}
		v = decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/orders/verify", "hallo", append(header, raw...)...))
		if v.Valid || v.Reason != "wrong-signature" {
			t.Errorf("another stream with %s: got %+v", name, v)
		}
	}
	f.must(t, "POST", "/v1/keys/orders/versions/1/revoke", "")
	for _, body := range []string{`{"text":"hello","tag":"` + s.Tag + `"}`, `{"text":"hello","signature":"` + s.Signature + `"}`} {
		if v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/orders/verify", body)); v.Valid || v.Reason != "revoked-key" || v.Version != 1 {
			t.Errorf("revoked: got %+v", v)
		}
	}
}

// TestNativeKeyRefuses asks a native key for what needs its secret, and for what
// would pretend that its tag is that of the message.
func TestNativeKeyRefuses(t *testing.T) {
	f, v := startNative(t, 0)
	f.must(t, "POST", "/v1/keys", `{"name":"plain"}`)
	calls := v.calls.Load()
	const request = `"request":{"method":"POST","url":"https://example.com/","body":"hello","headers":{"X-Hub-Signature-256":["sha256=00"]}}`
	for _, tt := range []struct{ name, path, body, want string }{
		{"SignRequest", "/v1/requests/sign", `{"scheme":"github","key":"orders",` + request + `}`, "use /v1/keys/orders/sign"},
		{"VerifyRequest", "/v1/requests/verify", `{"scheme":"github","key":"orders",` + request + `}`, "construction sealwright-native-mac-v1"},
		{"Doctor", "/v1/doctor", `{"scheme":"github","key":"orders",` + request + `}`, "is native"},
		{"DoctorFurther", "/v1/doctor", `{"scheme":"github","key":"plain","keys":["orders"],` + request + `}`, "is native"},
		{"Context", "/v1/keys/orders/sign", `{"text":"a","context":"customer"}`, "cannot be derived"},
		{"ContextOfVerify", "/v1/keys/orders/verify", `{"text":"a","tag":"00","context":"customer"}`, "cannot be derived"},
		{"Lease", "/v1/keys/orders/leases", `{"ttl":"1m"}`, "cannot be leased"},
		{"Reveal", "/v1/keys/orders/reveal", "", "cannot be revealed"},
		{"Export", "/v1/keys/orders/export", `{"recipient":"partner"}`, "cannot be exported"},
		{"NativeOfAnOrdinaryKey", "/v1/keys/plain/rotate", `{"native":{"key":"k-1"}}`, "does not become so"},
		{"Exportable", "/v1/keys", `{"name":"b","exportable":true,"native":{"key":"k-1"}}`, "exportable"},
		{"Material", "/v1/keys", `{"name":"b","material":"` + jefe + `","allow_weak":true,"native":{"key":"k-1"}}`, "no material"},
		{"OtherAlgorithm", "/v1/keys", `{"name":"b","algorithm":"hmac-sha512","native":{"key":"k-1"}}`, "algorithm"},
		{"UnknownProvider", "/v1/keys", `{"name":"b","native":{"provider":"elsewhere","key":"k-1"}}`, "want one of vault"},
		{"UnknownMember", "/v1/keys", `{"name":"b","native":{"pin":"1"}}`, "body.native: unknown member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, f.do(t, "POST", tt.path, tt.body), 422, "invalid", tt.want)
		})
	}
	if n := v.calls.Load(); n != calls {
		t.Errorf("the key service was called %d times", n-calls)
	}
	// The doctor goes through the other keys of the tenant without it.
	d := decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", `{"scheme":"github","key":"plain",`+request+`}`))
	if d.Secrets != 1 {
		t.Errorf("doctor: got %+v, want the one ordinary key", d)
	}
}

// TestNativeKeyAway has the key service away: the answer is 503, and never that
// a tag is not valid. Ordinary keys do not notice.
func TestNativeKeyAway(t *testing.T) {
	f, v := startNative(t, 0)
	f.must(t, "POST", "/v1/keys", `{"name":"plain"}`)
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/orders/sign", `{"text":"hello"}`))
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"b","native":{"key":"unknown"}}`), 503, "unavailable", "does not sign with unknown")
	v.away.Store(true)
	raw := []string{"Content-Type", "application/octet-stream"}
	for name, a := range map[string]answer{
		"Sign":            f.do(t, "POST", "/v1/keys/orders/sign", `{"text":"hello"}`),
		"SignBatch":       f.do(t, "POST", "/v1/keys/orders/sign", `{"items":[{"text":"hello"}]}`),
		"SignStream":      f.do(t, "POST", "/v1/keys/orders/sign", "hello", raw...),
		"VerifyTag":       f.do(t, "POST", "/v1/keys/orders/verify", `{"text":"hello","tag":"`+s.Tag+`"}`),
		"VerifySignature": f.do(t, "POST", "/v1/keys/orders/verify", `{"text":"hello","signature":"`+s.Signature+`"}`),
		"VerifyBatch":     f.do(t, "POST", "/v1/keys/orders/verify", `{"items":[{"text":"hello","tag":"`+s.Tag+`"}]}`),
		"VerifyStream":    f.do(t, "POST", "/v1/keys/orders/verify", "hello", append(raw, "Sealwright-Tag", s.Tag)...),
	} {
		p := refused(t, a, 503, "unavailable", `version 1 of key "orders", cannot be used now`)
		if a.header.Get("Retry-After") != "1" || strings.Contains(p.Error(), "k-1") {
			t.Errorf("%s: got Retry-After %q and %s, want 1 and nothing about the key service", name, a.header.Get("Retry-After"), p.Error())
		}
	}
	if !strings.Contains(f.log.String(), "vault does not sign with k-1") {
		t.Errorf("the log does not say why: %s", f.log)
	}
	f.must(t, "POST", "/v1/keys/plain/sign", `{"text":"hello"}`)
	a := f.do(t, "POST", "/v1/keys", `{"name":"b","native":{"key":"k-1"}}`)
	refused(t, a, 503, "unavailable", "does not sign with k-1")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("create: got Retry-After %q, want 1", a.header.Get("Retry-After"))
	}
}

// TestNativeKeyHangs has a key service that does not answer: each request ends
// after the time that it has.
func TestNativeKeyHangs(t *testing.T) {
	f, v := startNative(t, 50*time.Millisecond)
	v.hangs.Store(true)
	raw := []string{"Content-Type", "application/octet-stream"}
	tag := strings.Repeat("00", 32)
	for name, a := range map[string]answer{
		"Batch":        f.do(t, "POST", "/v1/keys/orders/sign", `{"items":[{"text":"a"},{"text":"b"}]}`),
		"VerifyBatch":  f.do(t, "POST", "/v1/keys/orders/verify", `{"items":[{"text":"a","tag":"`+tag+`"},{"text":"b","tag":"`+tag+`"}]}`),
		"SignStream":   f.do(t, "POST", "/v1/keys/orders/sign", "hello", raw...),
		"VerifyStream": f.do(t, "POST", "/v1/keys/orders/verify", "hello", append(raw, "Sealwright-Tag", tag)...),
	} {
		if a.status != 503 || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %d %s, want 503", name, a.status, a.body)
		}
	}
}
