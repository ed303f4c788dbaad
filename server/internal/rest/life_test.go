package rest_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// verify asks about a tag of jefeText.
func (f *fixture) verify(t *testing.T, key, more, tag string) api.Verdict {
	t.Helper()
	return decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/"+key+"/verify", `{"text":"`+jefeText+`","tag":"`+tag+`"`+more+`}`))
}

func TestVerdictTellsOldVersions(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.must(t, "POST", "/v1/keys/jefe/rotate", `{"grace":"1h","why":"yearly"}`)
	if v := f.verify(t, "jefe", "", jefeTag); !v.Valid || v.Version != 1 || v.State != "grace" {
		t.Errorf("got %+v", v)
	}
	k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/jefe", ""))
	if v := k.Versions[0]; v.State != "grace" || v.NotAfter == nil || v.Uses != 1 || v.LastUsedAt == nil {
		t.Errorf("got %+v", v)
	}
	if v := k.Versions[1]; v.State != "active" || v.Uses != 0 || v.LastUsedAt != nil || v.ActivatedAt == nil {
		t.Errorf("got %+v", v)
	}
	f.must(t, "POST", "/v1/keys/jefe/rotate", `{"grace":"0s"}`)
	if k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/jefe", "")); k.Versions[1].State != "retired" {
		t.Errorf("without grace: got %+v", k.Versions[1])
	}
}

// A verdict by a version in grace says when that ends, in every form.
func TestVerdictTellsTheEndOfGrace(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.withGithub(t)
	ends := map[string]*time.Time{}
	for _, name := range []string{"jefe", "hook"} {
		ends[name] = decode[api.Key](t, f.must(t, "POST", "/v1/keys/"+name+"/rotate", `{"grace":"1h"}`)).Versions[0].NotAfter
	}
	batch := decode[api.VerdictBatch](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"items":[{"text":"`+jefeText+`","tag":"`+jefeTag+`"}]}`))
	stream := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", jefeText, "Content-Type", "application/octet-stream", "Sealwright-Tag", jefeTag))
	for form, v := range map[string]api.Verdict{"message": f.verify(t, "jefe", "", jefeTag), "batch": batch.Items[0], "stream": stream} {
		if diff := cmp.Diff(ends["jefe"], v.NotAfter); diff != "" || v.State != "grace" {
			t.Errorf("%s: got %+v (-want +got):\n%s", form, v, diff)
		}
	}
	r := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github("", githubTag, githubBody)))
	if diff := cmp.Diff(ends["hook"], r.NotAfter); diff != "" || r.State != "grace" {
		t.Errorf("request: got %+v (-want +got):\n%s", r, diff)
	}
	f.must(t, "POST", "/v1/keys", `{"name":"fresh"}`)
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/fresh/sign", `{"text":"`+jefeText+`"}`))
	if v := f.verify(t, "fresh", "", s.Tag); v.State != "active" || v.NotAfter != nil {
		t.Errorf("active: got %+v", v)
	}
}

// A time in the past does not bring back a version whose grace has ended, also
// before that is stored: which versions count is decided by the clock alone.
func TestPastTimeOfOldVersion(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	f := start(t, func(o *rest.Options) {
		root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if o.Keys, err = custody.Open(t.Context(), custody.Options{Store: memory.New(), Wrapper: root, Now: now}); err != nil {
			t.Fatal(err)
		}
		o.Now = now
	})
	f.withGithub(t)
	f.must(t, "POST", "/v1/keys/hook/rotate", `{"grace":"1h"}`)
	past := `"now":` + strconv.FormatInt(time.Now().Unix(), 10) + `,`
	verify := func(members string) api.RequestVerdict {
		t.Helper()
		return decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github(members, githubTag, githubBody)))
	}
	for _, members := range []string{"", past} {
		if v := verify(members); !v.Valid || v.State != "grace" {
			t.Errorf("in grace with %q: got %+v", members, v)
		}
	}
	ahead.Store(int64(61 * time.Minute))
	if v := verify(""); v.Valid || v.Reason != "wrong-signature" {
		t.Errorf("now, after the grace: got %+v", v)
	}
	if v := verify(past); v.Valid || v.Reason != "unknown-key" || v.State != "" || !strings.Contains(v.Detail, "version 1 of key \"hook\" is retired") {
		t.Errorf("in the past, after the grace: got %+v", v)
	}
}

// The reason of a revoked version is its own, in every form of verification.
func TestEmergency(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.withGithub(t)
	for _, name := range []string{"jefe", "hook"} {
		k := decode[api.Key](t, f.must(t, "POST", "/v1/keys/"+name+"/rotate", `{"revoke_current":true}`))
		if k.Versions[0].State != "revoked" || k.Versions[0].RevokedAt == nil || k.Version != 2 {
			t.Errorf("got %+v", k)
		}
	}
	const detail = `version 1 of key "jefe" is revoked`
	if v := f.verify(t, "jefe", "", jefeTag); v.Valid || v.Reason != "revoked-key" || v.Version != 1 || v.State != "" || v.Detail != detail {
		t.Errorf("tag: got %+v", v)
	}
	if v := f.verify(t, "jefe", "", strings.Repeat("00", 32)); v.Reason != "wrong-signature" {
		t.Errorf("any tag: got %+v", v)
	}
	signature := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","signature":"`+jefeSignature+`"}`))
	if signature.Valid || signature.Reason != "revoked-key" || signature.Version != 1 || signature.Detail != detail {
		t.Errorf("signature: got %+v", signature)
	}
	stream := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", jefeText, "Content-Type", "application/octet-stream", "Sealwright-Tag", jefeTag))
	if stream.Valid || stream.Reason != "revoked-key" || stream.Version != 1 {
		t.Errorf("stream: got %+v", stream)
	}
	for _, members := range []string{"", `"key_id":"other",`} {
		r := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github(members, githubTag, githubBody)))
		if r.Valid || r.Reason != "revoked-key" || r.Version != 1 || r.State != "" {
			t.Errorf("request: got %+v", r)
		}
	}
}

func TestVersionOperations(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.must(t, "POST", "/v1/keys/jefe/rotate", "")
	state := func(operation, body string) string {
		t.Helper()
		return decode[api.Key](t, f.must(t, "POST", "/v1/keys/jefe/versions/1/"+operation, body)).Versions[0].State
	}
	for _, tt := range []struct{ operation, body, want string }{
		{"retire", "", "retired"}, {"restore", `{"why":"a partner was late"}`, "grace"}, {"retire", "{}", "retired"},
		{"destroy", "", "retired"}, {"destroy/cancel", "", "retired"}, {"revoke", "", "revoked"}, {"destroy", "", "revoked"},
	} {
		if got := state(tt.operation, tt.body); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.operation, got, tt.want)
		}
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/1/destroy", ""), 409, "conflict", "will be destroyed at")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/1/restore", ""), 409, "conflict", "to be destroyed")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/2/revoke", ""), 409, "conflict", "revoke_current")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/2/promote", ""), 409, "conflict", "is active")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/3/retire", ""), 404, "not-found", "no version 3")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/0/retire", ""), 422, "invalid", "path.version")
	refused(t, f.do(t, "POST", "/v1/keys/none/versions/1/retire", ""), 404, "not-found", "none")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/1/revoke", "", "If-Match", `"1"`), 412, "precondition-failed", "If-Match")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/versions/1/retire", `{"reason":"x"}`), 422, "invalid", "unknown member")
	refused(t, f.do(t, "GET", "/v1/keys/jefe/versions/1/retire", ""), 405, "method-not-allowed", "POST")
}

func TestRotateRefuses(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	for _, tt := range []struct{ name, path, body, want string }{
		{"GraceWithoutUnit", "rotate", `{"grace":"72"}`, "body.grace"},
		{"NegativeGrace", "rotate", `{"grace":"-1h"}`, "grace"},
		{"GraceOfRevoked", "rotate", `{"grace":"1h","revoke_current":true}`, "revoke_current"},
		{"InThePast", "rotate", `{"at":"2020-01-01T00:00:00Z"}`, "ahead"},
		{"LongReason", "rotate", `{"why":"` + strings.Repeat("w", 201) + `"}`, "why"},
		{"UnknownMember", "rotate", `{"revoke":true}`, "unknown member"},
		{"TooOften", "schedule", `{"every":"59m"}`, "every"},
		{"EveryWithoutUnit", "schedule", `{"every":"30"}`, "body.every"},
		{"NegativeScheduledGrace", "schedule", `{"every":"1h","grace":"-1h"}`, "body.grace"},
		{"ScheduledInThePast", "schedule", `{"at":"2020-01-01T00:00:00Z"}`, "ahead"},
	} {
		refused(t, f.do(t, "POST", "/v1/keys/a/"+tt.path, tt.body), 422, "invalid", tt.want)
	}
	if k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/a", "")); len(k.Versions) != 1 || k.Schedule != nil {
		t.Errorf("got %+v", k)
	}
}

func TestSchedule(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	k := decode[api.Key](t, f.must(t, "POST", "/v1/keys/a/schedule", `{"every":"720h","grace":"48h"}`))
	if s := k.Schedule; s == nil || s.Every != "30d" || s.Grace != "2d" || time.Until(*s.At) < 719*time.Hour {
		t.Errorf("got %+v", s)
	}
	k = decode[api.Key](t, f.must(t, "POST", "/v1/keys/a/rotate", `{"at":"2099-01-01T00:00:00Z"}`))
	if s := k.Schedule; s == nil || s.Every != "30d" || s.At.Year() != 2099 || len(k.Versions) != 1 {
		t.Errorf("got %+v", s)
	}
	if k := decode[api.Key](t, f.must(t, "POST", "/v1/keys/a/schedule", `{}`)); k.Schedule != nil {
		t.Errorf("got %+v", k.Schedule)
	}
}

func TestRestoreKey(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	refused(t, f.do(t, "POST", "/v1/keys/jefe/restore", ""), 409, "conflict", "not deleted")
	f.must(t, "DELETE", "/v1/keys/jefe", "")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"jefe"}`), 409, "conflict", "taken by a deleted key, which can be restored")
	f.must(t, "POST", "/v1/keys", `{"name":"other"}`)
	for path, want := range map[string]string{"/v1/keys": "other", "/v1/keys?deleted=true": "jefe"} {
		if l := decode[api.KeyList](t, f.must(t, "GET", path, "")); len(l.Items) != 1 || l.Items[0].Name != want {
			t.Errorf("%s: got %+v, want %s alone", path, l.Items, want)
		}
	}
	f.must(t, "POST", "/v1/keys/jefe/restore", `{"why":"by mistake"}`)
	if l := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys?deleted=true", "")); len(l.Items) != 0 {
		t.Errorf("restored: got %+v", l.Items)
	}
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"jefe"}`), 409, "conflict", `name "jefe" is taken`)
	if v := f.verify(t, "jefe", "", jefeTag); !v.Valid {
		t.Errorf("got %+v", v)
	}
	refused(t, f.do(t, "POST", "/v1/keys/none/restore", ""), 404, "not-found", "none")
}

func TestPurpose(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"hook","purpose":"webhook"}`)
	f.must(t, "POST", "/v1/keys", `{"name":"any"}`)
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"x","purpose":"fun"}`), 422, "invalid", "purpose")
	f.must(t, "POST", "/v1/keys/hook/sign", `{"text":"a","purpose":"webhook"}`)
	f.must(t, "POST", "/v1/keys/hook/sign", `{"text":"a"}`)
	f.must(t, "POST", "/v1/keys/any/sign", `{"text":"a","purpose":"audit"}`)
	tag := strings.Repeat("00", 32)
	raw := []string{"Content-Type", "application/octet-stream", "Sealwright-Tag", tag, "Sealwright-Purpose"}
	refused(t, f.do(t, "POST", "/v1/keys/hook/sign", `{"text":"a","purpose":"api"}`), 403, "denied", "webhook")
	refused(t, f.do(t, "POST", "/v1/keys/hook/sign", `{"items":[{"text":"a"}],"purpose":"api"}`), 403, "denied", "webhook")
	refused(t, f.do(t, "POST", "/v1/keys/hook/sign", `{"items":[{"text":"a","purpose":"api"}]}`), 422, "invalid", "unknown member")
	refused(t, f.do(t, "POST", "/v1/keys/hook/sign", `{"text":"a","purpose":""}`), 422, "invalid", "body.purpose")
	refused(t, f.do(t, "POST", "/v1/keys/any/sign", `{"text":"a","purpose":"fun"}`), 422, "invalid", "purpose")
	refused(t, f.do(t, "POST", "/v1/keys/hook/verify", `{"text":"a","purpose":"api","tag":"`+tag+`"}`), 403, "denied", "webhook")
	refused(t, f.do(t, "POST", "/v1/keys/hook/sign", "a", append(raw[:2:2], raw[4], "api")...), 403, "denied", "webhook")
	refused(t, f.do(t, "POST", "/v1/keys/hook/verify", "a", append(raw[:5:5], "api")...), 403, "denied", "webhook")
	f.must(t, "POST", "/v1/keys/hook/verify", "a", append(raw[:5:5], "webhook")...)
	refused(t, f.do(t, "POST", "/v1/requests/verify", strings.Replace(github(`"purpose":"api",`, githubTag, ""), `"key":"hook"`, `"key":"hook"`, 1)), 403, "denied", "webhook")
}

func TestContext(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	// HKDF of RFC 5869, written out.
	sum := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write([]byte(p))
		}
		return h.Sum(nil)
	}
	derived := sum(sum(make([]byte, 32), "Jefe"), "\x00\x00\x00\x16sealwright derived key\x00\x00\x00\x02c1", "\x01")
	want := hex.EncodeToString(sum(derived, jefeText))
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/jefe/sign", `{"context":"c1","text":"`+jefeText+`"}`))
	if s.Tag != want {
		t.Errorf("got tag %s, want %s", s.Tag, want)
	}
	raw := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/jefe/sign", jefeText, "Content-Type", "application/octet-stream", "Sealwright-Context", "c1"))
	if raw.Tag != want {
		t.Errorf("raw body: got tag %s, want %s", raw.Tag, want)
	}
	for more, valid := range map[string]bool{`,"context":"c1"`: true, `,"context":"c2"`: false, "": false} {
		if v := f.verify(t, "jefe", more, want); v.Valid != valid {
			t.Errorf("%s: got %+v", more, v)
		}
	}
	if v := f.verify(t, "jefe", `,"context":"c1"`, jefeTag); v.Valid {
		t.Errorf("a tag of the key itself: got %+v", v)
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", `{"context":"","text":"a"}`), 422, "invalid", "context")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", `{"context":"`+strings.Repeat("c", 257)+`","text":"a"}`), 422, "invalid", "context")
}

func TestLeases(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a","purpose":"api"}`)
	l := decode[api.Lease](t, f.must(t, "POST", "/v1/keys/a/leases", `{"ttl":"10m","max_uses":1}`))
	if l.Key != "a" || l.Version != 1 || l.Algorithm != "hmac-sha256" || l.Purpose != "api" || l.State != "valid" || len(l.Material) != 32 ||
		l.ExpiresAt.Sub(l.CreatedAt) != 10*time.Minute {
		t.Fatalf("got %+v", l)
	}
	m := hmac.New(sha256.New, l.Material)
	m.Write([]byte("hello"))
	tag := hex.EncodeToString(m.Sum(nil))
	path := "/v1/keys/a/leases/" + l.ID
	verify := func(body string) api.LeaseVerdict {
		t.Helper()
		return decode[api.LeaseVerdict](t, f.must(t, "POST", path+"/verify", body))
	}
	for _, tt := range []struct{ body, reason string }{
		{`{"text":"hallo","tag":"` + tag + `"}`, "wrong-signature"},
		{`{"text":"hello","tag":"` + strings.ToUpper(tag) + `"}`, "malformed"},
		{`{"text":"hello","tag":"` + tag + `","purpose":"api"}`, ""},
		{`{"message":"aGVsbG8=","tag":"` + tag + `"}`, "lease-used-up"},
	} {
		if v := verify(tt.body); v.Reason != tt.reason || v.Valid != (tt.reason == "") || (v.Detail == "") != v.Valid {
			t.Errorf("%s: got %+v", tt.body, v)
		}
	}
	got := decode[api.Lease](t, f.must(t, "GET", path, ""))
	if got.Used != 1 || got.State != "used-up" || got.Material != nil {
		t.Errorf("got %+v", got)
	}
	second := decode[api.Lease](t, f.must(t, "POST", "/v1/keys/a/leases", `{"ttl":"10m"}`))
	list := decode[api.LeaseList](t, f.must(t, "GET", "/v1/keys/a/leases?limit=1", ""))
	rest := decode[api.LeaseList](t, f.must(t, "GET", "/v1/keys/a/leases?cursor="+list.NextCursor, ""))
	if len(list.Items) != 1 || len(rest.Items) != 1 || list.Items[0].ID == rest.Items[0].ID || rest.NextCursor != "" {
		t.Errorf("got %+v and %+v", list, rest)
	}
	path = "/v1/keys/a/leases/" + second.ID
	if a := f.do(t, "DELETE", path, ""); a.status != 204 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if v := verify(`{"text":"hello","tag":"` + tag + `"}`); v.Reason != "lease-revoked" || v.Lease.State != "revoked" {
		t.Errorf("revoked: got %+v", v)
	}
	refused(t, f.do(t, "POST", path+"/verify", `{"text":"hello","tag":"`+tag+`","purpose":"webhook"}`), 403, "denied", "api")
	refused(t, f.do(t, "POST", path+"/verify", `{"tag":"`+tag+`"}`), 422, "invalid", "text")
	refused(t, f.do(t, "POST", "/v1/keys/a/leases/none/verify", `{"text":"a","tag":""}`), 404, "not-found", "lease")
	refused(t, f.do(t, "POST", "/v1/keys/a/leases", `{"ttl":"8 d"}`), 422, "invalid", "body.ttl")
	refused(t, f.do(t, "POST", "/v1/keys/a/leases", `{"ttl":"8d"}`), 422, "invalid", "want 1s to 168h")
	refused(t, f.do(t, "POST", "/v1/keys/a/leases", `{"ttl":"169h"}`), 422, "invalid", "ttl")
	refused(t, f.do(t, "POST", "/v1/keys/a/leases", `{"ttl":"1h","purpose":"webhook"}`), 403, "denied", "api")
	refused(t, f.do(t, "GET", "/v1/keys/a/leases?cursor="+second.ID, ""), 422, "invalid", "cursor")
	refused(t, f.do(t, "GET", "/v1/keys/a/leases?limit=1000", ""), 422, "invalid", "query.limit")
	refused(t, f.do(t, "GET", "/v1/keys/none/leases", ""), 404, "not-found", "none")
}

// Offers beyond the bound are refused with a time to try again.
func TestImportsAtATime(t *testing.T) {
	made := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }) // short is fast
	f := start(t, func(o *rest.Options) {
		root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if o.Keys, err = custody.Open(t.Context(), custody.Options{Store: memory.New(), Wrapper: root, ImportKey: made}); err != nil {
			t.Fatal(err)
		}
	})
	for range custody.MaxImports {
		f.must(t, "POST", "/v1/import-params", "")
	}
	a := f.do(t, "POST", "/v1/import-params", "")
	refused(t, a, 503, "unavailable", "16 imports are under way")
	if got := a.header.Get("Retry-After"); got != "5" {
		t.Errorf("Retry-After: got %q, want 5", got)
	}
}

func TestTransfer(t *testing.T) {
	f := start(t, nil)
	offer := decode[api.ImportParams](t, f.must(t, "POST", "/v1/import-params", ""))
	block, _ := pem.Decode([]byte(offer.PublicKey))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte("0123456789012345"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(wrapped)
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a","wrapped":"`+text+`"}`), 422, "invalid", "import_id")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a","import_id":"`+offer.ID+`","wrapped":"`+text+`","material":"AAAA"}`), 422, "invalid", "material")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a","import_id":"`+offer.ID+`","wrapped":"!"}`), 422, "invalid", "body.wrapped")
	k := decode[api.Key](t, f.must(t, "POST", "/v1/keys", `{"name":"a","exportable":true,"import_id":"`+offer.ID+`","wrapped":"`+text+`"}`))
	if len(k.Warnings) != 1 || !strings.Contains(k.Warnings[0], "too regular") {
		t.Errorf("warnings: got %v", k.Warnings)
	}
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"b","import_id":"`+offer.ID+`","wrapped":"`+text+`"}`), 404, "not-found", "import")

	private, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := json.Marshal(api.AddRecipient{Name: "partner", PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	r := decode[api.Recipient](t, f.must(t, "POST", "/v1/recipients", string(in)))
	refused(t, f.do(t, "POST", "/v1/recipients", string(in)), 409, "conflict", "partner")
	refused(t, f.do(t, "POST", "/v1/recipients", `{"name":"other","public_key":"x"}`), 422, "invalid", "public_key")
	list := decode[api.RecipientList](t, f.must(t, "GET", "/v1/recipients", ""))
	if diff := cmp.Diff([]api.Recipient{r}, list.Items); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	e := decode[api.ExportedKey](t, f.must(t, "POST", "/v1/keys/a/export", `{"recipient":"partner"}`))
	opened, err := rsa.DecryptOAEP(sha256.New(), nil, private, e.Wrapped, nil)
	if err != nil || string(opened) != "0123456789012345" || e.Fingerprint != r.Fingerprint || e.Version != 1 || e.Wrapping != "RSA-OAEP-SHA-256" {
		t.Errorf("got %+v, %v", e, err)
	}
	refused(t, f.do(t, "POST", "/v1/keys/a/export", `{"recipient":"nobody"}`), 404, "not-found", "nobody")
	f.must(t, "POST", "/v1/keys", `{"name":"closed"}`)
	refused(t, f.do(t, "POST", "/v1/keys/closed/export", `{"recipient":"partner"}`), 403, "denied", "not exportable")
	if a := f.do(t, "DELETE", "/v1/recipients/partner", ""); a.status != 204 {
		t.Errorf("got %d", a.status)
	}
	refused(t, f.do(t, "DELETE", "/v1/recipients/partner", ""), 404, "not-found", "partner")
}

func TestEntropyWarnings(t *testing.T) {
	f := start(t, nil)
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	for i, tt := range []struct {
		name, secret string
		warned       bool
	}{
		{"Random16Bytes", string(random), false},
		{"Random16BytesInHex", hex.EncodeToString(random), false},
		{"Base64", "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", false},
		{"OneByte", strings.Repeat("a", 40), true},
		{"TwoBytes", strings.Repeat("ab", 20), true},
		{"Counted", "0123456789:;<=>?@ABCDEFG", true},
		{"Zeros", strings.Repeat("\x00", 32), true},
	} {
		body, _ := json.Marshal(map[string]any{"name": "k" + string(rune('a'+i)), "material": []byte(tt.secret)})
		k := decode[api.Key](t, f.must(t, "POST", "/v1/keys", string(body)))
		if (len(k.Warnings) > 0) != tt.warned {
			t.Errorf("%s: got %v", tt.name, k.Warnings)
		}
	}
}
