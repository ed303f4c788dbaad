package custody_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// hsm is a device in memory: a double of a key service, which passes no suite.
// The adapters have tests of their own.
type hsm struct {
	mu     sync.Mutex
	keys   map[string]secret.Bytes
	away   map[string]bool // keys that cannot be used now, all of them with ""
	lies   bool            // verifies nothing
	calls  int
	labels []string // of keys that were made
}

func newHSM(keys ...string) *hsm {
	h := &hsm{keys: map[string]secret.Bytes{}, away: map[string]bool{}}
	for _, k := range keys {
		h.keys[k] = secretOf("the secret in the device of " + k)
	}
	return h
}

func (h *hsm) MAC(_ context.Context, key string, d kms.Digest) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	material, ok := h.keys[key]
	if !ok || h.away[key] || h.away[""] {
		return nil, fault.New(fault.Unavailable, "device does not sign with %s", key)
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	k, err := mac.New(mac.SHA256, material)
	if err != nil {
		return nil, err
	}
	return k.Sum(nil, text)
}

func (h *hsm) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	want, err := h.MAC(ctx, key, d)
	return err == nil && !h.lies && mac.Equal(want, tag), err
}

func (h *hsm) make(_ context.Context, label string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away[""] {
		return "", fault.New(fault.Unavailable, "device makes no key")
	}
	h.labels = append(h.labels, label)
	h.keys[label] = secret.Random(32)
	return label, nil
}

// newNativeHouse returns a house with a device that makes keys, which is the
// first, and one that does not.
func newNativeHouse(t *testing.T) (h *house, maker, other *hsm) {
	t.Helper()
	h, maker, other = newHouse(t), newHSM("a-1", "a-2"), newHSM("b-1", "b-2")
	h.devices = map[string]kms.Device{"maker": {MAC: maker, Make: maker.make}, "other": {MAC: other}}
	h.Service = h.open(t, h.store)
	return h, maker, other
}

func (h *house) native(t *testing.T, name string, n custody.NativeKey) *custody.Key {
	t.Helper()
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: name, Native: &n})
	if err != nil {
		t.Fatalf("Create %q: %v", name, err)
	}
	return k
}

var digestOfM = sha256.Sum256([]byte("m"))

func signNative(t *testing.T, k *custody.Key) []byte {
	t.Helper()
	tag, version, err := k.SignNative(t.Context(), digestOfM)
	if err != nil || version != k.Signing {
		t.Fatalf("SignNative: got version %d, %v, want %d", version, err, k.Signing)
	}
	return tag
}

// wantNative checks which version verifies tag, 0 for none.
func wantNative(t *testing.T, what string, k *custody.Key, tag []byte, want int) {
	t.Helper()
	got, ok, err := k.VerifyNative(t.Context(), tag, digestOfM)
	if got != want || ok != (want != 0) || err != nil {
		t.Errorf("%s: got version %d, %t, %v, want %d", what, got, ok, err, want)
	}
}

// TestNative follows a key from its creation to a restart: the tag is that of
// the construction, and the record has the name of the key and no ciphertext.
func TestNative(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	k := h.native(t, "orders", custody.NativeKey{Key: "a-1"})
	if !k.Native() || k.Ring != nil || k.Versions[0].Native.String() != "maker:a-1" || k.Versions[0].Bytes != 0 {
		t.Errorf("Create: got %+v", k.Versions)
	}
	tag := signNative(t, k)
	m, err := mac.New(mac.SHA256, maker.keys["a-1"])
	if err != nil {
		t.Fatal(err)
	}
	if !m.Verify(tag, fmt.Appendf(nil, "sealwright-native-mac-v1\nhmac-sha256\ndefault\norders\n1\n%x\n", digestOfM)) {
		t.Error("the tag is not that of the construction")
	}
	fresh, err := h.open(t, h.store).Get(tenant, "orders")
	if err != nil {
		t.Fatal(err)
	}
	wantNative(t, "after a restart", fresh, tag, 1)
	s := fresh.Signature(tag, 1)
	if !s.Native || fresh.VerifyNativeSignature(t.Context(), s, digestOfM) != nil {
		t.Errorf("signature %s does not verify", s)
	}
	uses, err := h.Uses(t.Context(), k)
	if err != nil || uses[1].Count != 1 {
		t.Errorf("Uses: got %v, %v, want 1", uses, err)
	}
	r := h.record(t, tenant, "key", "orders")
	const created = "2026-11-03T04:05:06.789012Z"
	want := fmt.Sprintf(`{"name":"orders","key_id":"orders","algorithm":"hmac-sha256","exportable":false,"created_at":%q,`+
		`"versions":[{"version":1,"state":"active","created_at":%q,"activated_at":%q,"native":{"provider":"maker","key":"a-1"},"origin":"native"}],`+
		`"signing":1,"native":true}`, created, created, created)
	if string(r.Doc) != want || r.Format != 3 {
		t.Errorf("record: got format %d, %s, want %s", r.Format, r.Doc, want)
	}
	if got := detailOf(t, h, "key.create")["native"]; got != "maker:a-1" {
		t.Errorf("entry: got native %v", got)
	}
}

// detailOf returns the detail of the last entry with this action.
func detailOf(t *testing.T, h *house, action string) map[string]any {
	t.Helper()
	var detail map[string]any
	for _, e := range h.log(t) {
		if e.Action == action {
			detail = nil
			if err := json.Unmarshal(e.Detail, &detail); err != nil {
				t.Fatal(err)
			}
		}
	}
	return detail
}

func TestNativeCreateRefuses(t *testing.T) {
	native := func(provider, key string) *custody.NativeKey { return &custody.NativeKey{Provider: provider, Key: key} }
	tests := []struct {
		name string
		in   custody.CreateKey
		kind fault.Kind
		want string
	}{
		{"Exportable", custody.CreateKey{Native: native("", "a-1"), Exportable: true}, fault.Invalid, "exportable"},
		{"Material", custody.CreateKey{Native: native("", "a-1"), Material: secretOf("0123456789abcdef")}, fault.Invalid, "no material"},
		{"OtherAlgorithm", custody.CreateKey{Native: native("", "a-1"), Algorithm: "hmac-sha512"}, fault.Invalid, "got hmac-sha512"},
		{"LineFeed", custody.CreateKey{Native: native("", "a\n1")}, fault.Invalid, "native.key"},
		{"NotUTF8", custody.CreateKey{Native: native("", "a\xff")}, fault.Invalid, "native.key"},
		{"TooLong", custody.CreateKey{Native: native("", strings.Repeat("k", custody.MaxDeviceKey+1))}, fault.Invalid, "got 513 bytes"},
		{"UnknownProvider", custody.CreateKey{Native: native("elsewhere", "a-1")}, fault.Invalid, "want one of maker, other"},
		{"NothingIsMade", custody.CreateKey{Native: native("other", "")}, fault.Invalid, "other makes no keys"},
		{"NoSuchKey", custody.CreateKey{Native: native("other", "a-1")}, fault.Unavailable, "does not sign with a-1"},
	}
	for _, tt := range tests {
		h, _, _ := newNativeHouse(t)
		tt.in.Name = "a"
		k, err := h.Create(t.Context(), admin, tt.in)
		if k != nil || fault.KindOf(err) != tt.kind || !strings.Contains(fault.Public(err), tt.want) {
			t.Errorf("%s: got %v, want kind %v and %s", tt.name, err, tt.kind, tt.want)
		}
		if _, err := h.store.Load(t.Context(), tenant, "key", "a"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: the key is in the store: %v", tt.name, err)
		}
	}
	h := newHouse(t) // without devices
	_, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Native: native("", "a-1")})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Public(err), "no key service for native keys") {
		t.Errorf("without devices: got %v", err)
	}
	liar, maker, _ := newNativeHouse(t)
	maker.lies = true
	_, err = liar.Create(t.Context(), admin, custody.CreateKey{Name: "a", Native: native("", "")})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "maker:"+maker.labels[0]+" was made for it and is not used") {
		t.Errorf("a device that does not verify: got %v", err)
	}
}

// TestNativeRotate takes a key through its states, and from one device to
// another.
func TestNativeRotate(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	k := h.native(t, "orders", custody.NativeKey{})
	if len(maker.labels) != 1 || !strings.HasPrefix(maker.labels[0], "sealwright-orders-1-") || k.Versions[0].Native.Key != maker.labels[0] {
		t.Fatalf("made %q for %v", maker.labels, k.Versions)
	}
	rotate := func(n *custody.NativeKey, r custody.Rotation) *custody.Key {
		t.Helper()
		r.Native = n
		k, err := h.Rotate(t.Context(), admin, "orders", 0, r)
		if err != nil {
			t.Fatalf("Rotate: %v", err)
		}
		return k
	}
	first := signNative(t, k)
	k = rotate(nil, custody.Rotation{}) // made
	second := signNative(t, k)
	k = rotate(&custody.NativeKey{Provider: "other", Key: "b-1"}, custody.Rotation{})
	third := signNative(t, k)
	for i, tag := range [][]byte{first, second, third} {
		wantNative(t, "in grace", k, tag, i+1)
	}
	for name, r := range map[string]custody.Rotation{
		"SameKey": {Native: &custody.NativeKey{Provider: "other", Key: "b-1"}}, "NothingIsMade": {}, "At": {Native: &custody.NativeKey{Key: "b-2"}, At: h.now.Add(time.Hour)},
		"AtWithoutMaker": {At: h.now.Add(time.Hour)}, "LineFeed": {Native: &custody.NativeKey{Key: "\n"}},
	} {
		if _, err := h.Rotate(t.Context(), admin, "orders", 0, r); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want kind %v", name, err, fault.Invalid)
		}
	}
	k = rotate(&custody.NativeKey{Key: "b-2"}, custody.Rotation{RevokeCurrent: true})
	if got := k.Versions[3].Native.String(); got != "other:b-2" {
		t.Errorf("Rotate: got %s, want the provider of before", got)
	}
	wantNative(t, "revoked", k, third, 0)
	if version, ok := k.NativeRevokedBy(t.Context(), third, digestOfM); version != 3 || !ok {
		t.Errorf("NativeRevokedBy: got %d, %t, want 3", version, ok)
	}
	if version, ok := k.NativeRevokedBy(t.Context(), make([]byte, 32), digestOfM); ok {
		t.Errorf("NativeRevokedBy of a wrong tag: got %d", version)
	}
	err := k.VerifyNativeSignature(t.Context(), k.Signature(third, 3), digestOfM)
	if !errors.Is(err, custody.ErrRevoked) || !errors.Is(err, sealwright.ErrUnknownKey) {
		t.Errorf("VerifyNativeSignature: got %v, want %v", err, custody.ErrRevoked)
	}

	h.now = h.now.Add(custody.DefaultGrace)
	wantNative(t, "after the grace period", k, first, 0)
	if _, err := h.Destroy(t.Context(), admin, "orders", 0, 3, ""); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(custody.DefaultDestroyWait)
	if k, err = h.Destroy(t.Context(), admin, "orders", 0, 3, ""); err != nil {
		t.Fatal(err)
	}
	if v := k.Versions[2]; v.State != keyring.Destroyed || v.Native != (custody.NativeKey{}) || strings.Contains(string(h.record(t, tenant, "key", "orders").Doc), "b-1") {
		t.Errorf("Destroy: got %+v, want no native key", v)
	}
	if got := detailOf(t, h, "version.destroy")["native"]; got != "other:b-1" {
		t.Errorf("entry: got native %v", got)
	}
	if _, err := h.open(t, h.store).Get(tenant, "orders"); err != nil {
		t.Errorf("Get after a restart: %v", err)
	}
}

func TestNativeSignatureRefuses(t *testing.T) {
	h, _, _ := newNativeHouse(t)
	k := h.native(t, "orders", custody.NativeKey{Key: "a-1"})
	good := k.Signature(signNative(t, k), 1)
	for name, tt := range map[string]struct {
		change func(*api.Signature)
		want   error
	}{
		"PlainHMAC":      {func(s *api.Signature) { s.Native = false }, sealwright.ErrPolicy},
		"OtherAlgorithm": {func(s *api.Signature) { s.Algorithm = mac.SHA512_256 }, sealwright.ErrPolicy},
		"OtherKeyID":     {func(s *api.Signature) { s.KeyID = "other" }, sealwright.ErrUnknownKey},
		"NoSuchVersion":  {func(s *api.Signature) { s.Version = 2 }, sealwright.ErrUnknownKey},
		"VersionZero":    {func(s *api.Signature) { s.Version = 0 }, sealwright.ErrUnknownKey},
		"ShortTag":       {func(s *api.Signature) { s.Tag = s.Tag[:16] }, sealwright.ErrMismatch},
		"NoTag":          {func(s *api.Signature) { s.Tag = nil }, sealwright.ErrMismatch},
	} {
		s := good
		tt.change(&s)
		if err := k.VerifyNativeSignature(t.Context(), s, digestOfM); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if err := k.VerifyNativeSignature(t.Context(), good, sha256.Sum256(nil)); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("another message: got %v", err)
	}
	plain := h.create(t, "plain")
	tag, version, err := plain.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	s := plain.Signature(tag, version)
	if s.Native = true; !errors.Is(plain.VerifySignature(s, []byte("m")), sealwright.ErrPolicy) {
		t.Error("an ordinary key takes the signature of a native one")
	}
}

// TestNativeCannot asks for everything that needs the secret.
func TestNativeCannot(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	k := h.native(t, "a", custody.NativeKey{Key: "a-1"})
	calls := maker.calls
	for name, run := range map[string]func() error{
		"MAC":             func() error { _, err := k.MAC(0); return err },
		"Sign":            func() error { _, _, err := k.Sign(nil, []byte("m")); return err },
		"MACFor":          func() error { _, err := k.MACFor(k.Signature(make([]byte, 32), 1)); return err },
		"VerifySignature": func() error { return k.VerifySignature(k.Signature(make([]byte, 32), 1), []byte("m")) },
		"Derive":          func() error { _, err := k.Derive("customer"); return err },
		"Foreign":         k.RefuseForeign,
		"Lease": func() error {
			_, _, err := h.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: time.Minute})
			return err
		},
		"Reveal": func() error { _, err := h.Reveal(t.Context(), admin, "a"); return err },
		"Export": func() error { _, err := h.Export(t.Context(), admin, "a", "partner", 0, ""); return err },
		"ExportDerived": func() error {
			_, err := h.Export(t.Context(), admin, "a", "partner", 0, "customer")
			return err
		},
	} {
		if err := run(); fault.KindOf(err) != fault.Invalid || !errors.Is(err, custody.ErrNative) {
			t.Errorf("%s: got %v, want kind %v and %v", name, err, fault.Invalid, custody.ErrNative)
		}
	}
	if version, ok := k.Verify(make([]byte, 32), 0, []byte("m")); ok {
		t.Errorf("Verify: got version %d", version)
	}
	if err := h.create(t, "plain").RefuseForeign(); err != nil {
		t.Errorf("an ordinary key: got %v", err)
	}
	if maker.calls != calls {
		t.Errorf("the device was asked %d times", maker.calls-calls)
	}
	if _, err := h.Rotate(t.Context(), admin, "plain", 0, custody.Rotation{Native: &custody.NativeKey{Key: "a-2"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Rotate of an ordinary key to a native one: got %v", err)
	}
}

// TestNativeAway has devices fail: nothing is valid, and nothing is invalid.
func TestNativeAway(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	k := h.native(t, "a", custody.NativeKey{Key: "a-1"})
	old := signNative(t, k)
	k, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{Native: &custody.NativeKey{Key: "a-2"}})
	if err != nil {
		t.Fatal(err)
	}
	tag := signNative(t, k)
	maker.away["a-2"] = true
	wantNative(t, "another version is away", k, old, 1)
	unavailable := func(what string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Unavailable || strings.Contains(fault.Public(err), "a-2") || !strings.Contains(fault.Public(err), `version 2 of key "a"`) {
			t.Errorf("%s: got %v, want kind %v without the name of the key there", what, err, fault.Unavailable)
		}
	}
	check := func(k *custody.Key) {
		t.Helper()
		for what, bytes := range map[string][]byte{"good tag": tag, "wrong tag": make([]byte, 32)} {
			version, ok, err := k.VerifyNative(t.Context(), bytes, digestOfM)
			if version != 0 || ok {
				t.Errorf("%s: got version %d, %t", what, version, ok)
			}
			unavailable(what, err)
		}
		err := k.VerifyNativeSignature(t.Context(), k.Signature(tag, 2), digestOfM)
		unavailable("signature", err)
		if errors.Is(err, sealwright.ErrMismatch) {
			t.Errorf("signature: got %v", err)
		}
		got, _, err := k.SignNative(t.Context(), digestOfM)
		unavailable("sign", err)
		if got != nil {
			t.Errorf("sign: got %d bytes", len(got))
		}
	}
	check(k)
	delete(maker.away, "a-2")
	wantNative(t, "back again", k, tag, 2)

	delete(h.devices, "maker") // the next start has another configuration
	fresh, err := h.open(t, h.store).Get(tenant, "a")
	if err != nil {
		t.Fatal(err)
	}
	check(fresh)
}

// TestNativeShared gives one key of the device to two keys and to two tenants:
// the tags of one are not those of the other.
func TestNativeShared(t *testing.T) {
	h, _, _ := newNativeHouse(t)
	in := custody.CreateKey{Name: "a", Native: &custody.NativeKey{Key: "a-1"}}
	mine := h.native(t, "a", *in.Native)
	theirs, err := h.Create(t.Context(), other, in)
	if err != nil {
		t.Fatal(err)
	}
	in.Name, in.KeyID = "b", "a"
	beside, err := h.Create(t.Context(), admin, in)
	if err != nil {
		t.Fatal(err)
	}
	tag := signNative(t, mine)
	wantNative(t, "the key itself", mine, tag, 1)
	wantNative(t, "another tenant", theirs, tag, 0)
	wantNative(t, "another key with the same key ID", beside, tag, 0)
}

// TestNativeSchedule rotates on schedule with keys that the device makes. While
// it makes none nothing happens, and it is left alone for a minute.
func TestNativeSchedule(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	h.native(t, "a", custody.NativeKey{Key: "a-1"})
	h.native(t, "b", custody.NativeKey{Provider: "other", Key: "b-1"})
	every := &custody.Schedule{Every: time.Hour}
	if _, err := h.SetSchedule(t.Context(), admin, "b", 0, every); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Public(err), "other makes no keys") {
		t.Errorf("SetSchedule: got %v", err)
	}
	if _, err := h.SetSchedule(t.Context(), admin, "a", 0, every); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Hour)
	maker.away[""] = true
	if err := h.Step(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Step: got %v, want kind %v", err, fault.Unavailable)
	}
	delete(maker.away, "")
	for range 2 { // at once, and when the minute is over
		if err := h.Step(t.Context()); err != nil {
			t.Errorf("Step: %v", err)
		}
		k, err := h.Get(tenant, "a")
		if want := 1 + len(maker.labels); err != nil || k.Signing != want {
			t.Errorf("got version %d, %v, want %d", k.Signing, err, want)
		}
		h.now = h.now.Add(time.Minute)
	}
	if len(maker.labels) != 1 {
		t.Errorf("made %q, want one key", maker.labels)
	}
}

// TestNativeNodes has two nodes: what one does with a native key the other
// follows, and the later one makes no key for a rotation that was made.
func TestNativeNodes(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	one := h.follow(t, func(o *custody.Options) { o.Nodes = &nodes{have: true} })
	two := h.follow(t, func(o *custody.Options) { o.Nodes = &nodes{have: true} })
	if _, err := one.Create(t.Context(), admin, custody.CreateKey{Name: "a", Native: &custody.NativeKey{Key: "a-1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour}); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Hour)
	for range 12 { // seconds, of which each node waits for some of the first 10
		for _, f := range []*follower{one, two} {
			if err := errors.Join(f.apply(t, h), f.Step(t.Context())); err != nil {
				t.Errorf("Step: %v", err)
			}
		}
		h.now = h.now.Add(time.Second)
	}
	if len(maker.labels) != 1 {
		t.Errorf("made %q, want one key", maker.labels)
	}
	var tags [][]byte
	for _, f := range []*follower{one, two} {
		if err := f.apply(t, h); err != nil {
			t.Fatal(err)
		}
		k, err := f.Get(tenant, "a")
		if err != nil || k.Signing != 2 {
			t.Fatalf("got version %d, %v, want 2", k.Signing, err)
		}
		tags = append(tags, signNative(t, k))
	}
	k, err := one.Get(tenant, "a")
	if err != nil {
		t.Fatal(err)
	}
	wantNative(t, "a tag of the other node", k, tags[1], 2)
}

// TestNativeEmergency revokes while a rotation is half finished: the version
// that is pending takes over, and no other key is wanted.
func TestNativeEmergency(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	h.with(t, func(o *custody.Options) { o.Nodes = &nodes{} })
	h.native(t, "a", custody.NativeKey{Key: "a-1"})
	h.rotate(t, "a")
	r := custody.Rotation{RevokeCurrent: true, Native: &custody.NativeKey{Key: "a-2"}}
	if _, err := h.Rotate(t.Context(), admin, "a", 0, r); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Public(err), "version 2") {
		t.Errorf("Rotate with a key: got %v", err)
	}
	k, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true})
	if err != nil || k.Signing != 2 || len(maker.labels) != 1 {
		t.Errorf("Rotate: got version %d, %v and made %q, want 2 and one key", k.Signing, err, maker.labels)
	}
}

// TestNativeBroken breaks the commit of a native key in both ways.
func TestNativeBroken(t *testing.T) {
	for _, apply := range []bool{false, true} {
		for name, run := range map[string]func(*house) error{
			"Create": func(h *house) error {
				_, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "b", Native: &custody.NativeKey{}})
				return err
			},
			"Rotate": func(h *house) error {
				_, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
				return err
			},
		} {
			h, maker, _ := newNativeHouse(t)
			h.native(t, "a", custody.NativeKey{})
			before := natives(t, h, h.Service)
			h.store.Fail(memory.Fault{Err: errLost, Apply: apply})
			err := run(h)
			if (err == nil) != apply || !apply && (!errors.Is(err, errLost) || !strings.Contains(err.Error(), maker.labels[1]+" was made for it")) {
				t.Errorf("%s, stored %t: got %v", name, apply, err)
			}
			after := natives(t, h, h.Service)
			if diff := cmp.Diff(natives(t, h, h.open(t, h.store)), after); diff != "" {
				t.Errorf("%s, stored %t (-stored +shown):\n%s", name, apply, diff)
			}
			if cmp.Equal(before, after) == apply {
				t.Errorf("%s, stored %t: before %v, after %v", name, apply, before, after)
			}
			if !apply && run(h) != nil {
				t.Errorf("%s: does not work the next time", name)
			}
		}
	}
}

// natives returns the native keys of all versions by the name of the key.
func natives(t *testing.T, h *house, s *custody.Service) map[string][]custody.VersionInfo {
	t.Helper()
	keys, _, err := s.List(admin, access.KeyRead, "", custody.MaxList)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]custody.VersionInfo{}
	for _, k := range keys {
		all[k.Name] = k.Versions
	}
	return all
}

// TestNativeTried makes one key for a rotation that is tried again since
// somebody else was faster.
func TestNativeTried(t *testing.T) {
	h, maker, _ := newNativeHouse(t)
	h.native(t, "a", custody.NativeKey{Key: "a-1"})
	st := &blind{Store: h.store, commit: fault.New(fault.Conflict, "somebody was faster")}
	h.Service = h.open(t, st)
	_, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	if fault.KindOf(err) != fault.Conflict || len(maker.labels) != 1 || !strings.Contains(fault.Public(err), maker.labels[0]) {
		t.Errorf("Rotate: got %v and made %q, want a conflict and one key, which is named", err, maker.labels)
	}
	if _, err := h.Rotate(t.Context(), admin, "a", 7, custody.Rotation{}); !errors.Is(err, custody.ErrPrecondition) || len(maker.labels) != 1 {
		t.Errorf("Rotate with another ETag: got %v and made %q, want nothing made", err, maker.labels)
	}
}

// TestNativeDamaged opens records in which native key and state do not fit.
func TestNativeDamaged(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"NoNativeKey":    func(doc map[string]any) { delete(versionOf(doc, 0), "native") },
		"Ciphertext":     func(doc map[string]any) { versionOf(doc, 0)["ciphertext"] = "AAAA" },
		"OrdinaryKey":    func(doc map[string]any) { delete(doc, "native") },
		"UnknownMembers": func(doc map[string]any) { versionOf(doc, 0)["native"] = map[string]any{"pin": "1"} },
	} {
		h, _, _ := newNativeHouse(t)
		h.native(t, "a", custody.NativeKey{Key: "a-1"})
		h.edit(t, tenant, "key", "a", change)
		if _, err := custody.Open(t.Context(), h.options(h.store)); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: got %v, want kind %v", name, err, fault.Internal)
		}
	}
}

// TestNativeInParallel signs and verifies while the key rotates.
func TestNativeInParallel(t *testing.T) {
	h, _, _ := newNativeHouse(t)
	h.native(t, "a", custody.NativeKey{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				k, err := h.Get(access.DefaultTenant, "a")
				if err != nil {
					t.Error(err)
					return
				}
				tag, version, err := k.SignNative(t.Context(), digestOfM)
				if err != nil {
					t.Error(err)
					return
				}
				if got, ok, err := k.VerifyNative(t.Context(), tag, digestOfM); got != version || !ok || err != nil {
					t.Errorf("VerifyNative: got %d, %t, %v, want %d", got, ok, err, version)
				}
			}
		})
	}
	for range 5 {
		h.rotate(t, "a")
	}
	group.Wait()
}
