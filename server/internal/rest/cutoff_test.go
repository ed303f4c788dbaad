package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// cutOff is an API on a node that can be cut off from its database, and a
// service of another node, that is not.
type cutOff struct {
	*fixture
	other   *custody.Service
	current bool
	stale   error
}

func newCutOff(t *testing.T) *cutOff {
	t.Helper()
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, st := &cutOff{current: true}, memory.New()
	open := func(o custody.Options) *custody.Service {
		o.Store, o.Wrapper = st, root
		s, err := custody.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	c.other = open(custody.Options{})
	if _, err := c.other.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	usable := func() error { return c.stale }
	keys := open(custody.Options{Usable: usable, Current: func() bool { return c.current }})
	c.fixture = start(t, func(o *rest.Options) { o.Keys, o.Usable = keys, usable })
	return c
}

// A tag by a version that a node cannot have heard of is not invalid there: it
// is not known. The same holds for keys.
func TestCutOff(t *testing.T) {
	c := newCutOff(t)
	before := decode[api.Signed](t, c.must(t, "POST", "/v1/keys/a/sign", `{"text":"m"}`))
	k, err := c.other.Rotate(t.Context(), access.Administrator(), "a", 0, custody.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	tag, version, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	byNew, signature := fmt.Sprintf("%x", tag), string(k.Signature(tag, version).Append(nil))
	request := `{"scheme":"github","key":"a","request":{"method":"POST","url":"https://e.test/","body":"m","headers":{"X-Hub-Signature-256":["sha256=` + byNew + `"]}}}`
	raw := []string{"Content-Type", "application/octet-stream"}
	tests := []struct {
		name, path, body string
		header           []string
	}{
		{"Tag", "/v1/keys/a/verify", `{"text":"m","tag":"` + byNew + `"}`, nil},
		{"Signature", "/v1/keys/a/verify", `{"text":"m","signature":"` + signature + `"}`, nil},
		{"Batch", "/v1/keys/a/verify", `{"items":[{"text":"m","tag":"` + byNew + `"}]}`, nil},
		{"Derived", "/v1/keys/a/verify", `{"text":"m","context":"c","tag":"` + byNew + `"}`, nil},
		{"StreamTag", "/v1/keys/a/verify", "m", append(raw, "Sealwright-Tag", byNew)},
		{"StreamSignature", "/v1/keys/a/verify", "m", append(raw, "Sealwright-Signature", signature)},
		{"Request", "/v1/requests/verify", request, nil},
		{"UnknownKey", "/v1/keys/b/verify", `{"text":"m","tag":"` + byNew + `"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.current = true
			if a := c.do(t, "POST", tt.path, tt.body, tt.header...); a.status != 404 && !strings.Contains(a.body, `"valid":false`) {
				t.Errorf("while it hears of changes: got %d %s", a.status, a.body)
			}
			c.current = false
			refused(t, c.do(t, "POST", tt.path, tt.body, tt.header...), 503, "unavailable", "does not reach the database")
		})
	}
	c.current = false
	valid := fmt.Sprintf(`{"text":"m","signature":%q}`, before.Signature)
	if v := decode[api.Verdict](t, c.must(t, "POST", "/v1/keys/a/verify", valid)); !v.Valid {
		t.Errorf("a known version: got %+v", v)
	}
	wrong := strings.Replace(valid, `"m"`, `"n"`, 1)
	if v := decode[api.Verdict](t, c.must(t, "POST", "/v1/keys/a/verify", wrong)); v.Valid {
		t.Errorf("a wrong signature by a known version: got %+v", v)
	}
	c.must(t, "POST", "/v1/keys/a/sign", `{"text":"m"}`)
}

// A node that could have missed a revocation neither signs nor verifies, and is
// not ready.
func TestStale(t *testing.T) {
	c := newCutOff(t)
	signed := decode[api.Signed](t, c.must(t, "POST", "/v1/keys/a/sign", `{"text":"m"}`))
	c.must(t, "GET", "/readyz", "")
	c.stale = fault.New(fault.Unavailable, "nothing was heard from the database")
	text, err := json.Marshal(signed.Signature)
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/v1/keys/a/sign":   `{"text":"m"}`,
		"/v1/keys/a/verify": `{"text":"m","signature":` + string(text) + `}`,
		"/v1/requests/sign": `{"scheme":"github","key":"a","request":{"method":"POST","url":"https://e.test/"}}`,
	} {
		refused(t, c.do(t, "POST", path, body), 503, "unavailable", "nothing was heard")
	}
	refused(t, c.do(t, "GET", "/readyz", ""), 503, "unavailable", "nothing was heard")
	c.must(t, "GET", "/healthz", "")
}

// Whoever changes a key with what another node told them is not refused since
// this node has not heard of it yet.
func TestIfMatchOfAnotherNode(t *testing.T) {
	c := newCutOff(t)
	k, err := c.other.Rotate(t.Context(), access.Administrator(), "a", 0, custody.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, c.do(t, "POST", "/v1/keys/a/rotate", "", "If-Match", `"1"`), 412, "precondition-failed", "has version 2, not 1")
	c.must(t, "POST", "/v1/keys/a/rotate", "", "If-Match", fmt.Sprintf(`"%d"`, k.ETagVersion))
	if _, err := c.other.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	c.must(t, "POST", "/v1/keys/b/rotate", "", "If-Match", `"1"`)
	if _, err := c.other.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: "d"}); err != nil {
		t.Fatal(err)
	}
	c.must(t, "DELETE", "/v1/keys/d", "")
	refused(t, c.do(t, "DELETE", "/v1/keys/none", ""), 404, "not-found", "none")
}

// usesAway is a store that does not answer for uses.
type usesAway struct{ *memory.Store }

func (usesAway) Uses(context.Context, string, string) ([]store.Use, error) {
	return nil, fault.New(fault.Unavailable, "the store cannot be used now")
}

// A key is in memory: it can be looked at while the store is away, and nobody
// takes uses that are not known for none.
func TestShowKeyWithoutStore(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if o.Keys, err = custody.Open(t.Context(), custody.Options{Store: usesAway{memory.New()}, Wrapper: root}); err != nil {
			t.Fatal(err)
		}
	})
	f.withJefe(t)
	f.verify(t, "jefe", "", jefeTag)
	k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/jefe", ""))
	if v := k.Versions[0]; !k.UsesUnknown || v.State != "active" || v.Uses != 0 || v.LastUsedAt != nil {
		t.Errorf("got %+v", k)
	}
}
