package rest_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/source"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// startSourced serves keys with a source that has what set was called with;
// nothing is a source that is away.
func startSourced(t *testing.T) (f *fixture, set func(string)) {
	t.Helper()
	var mu sync.Mutex
	var kept string
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := custody.Open(t.Context(), custody.Options{Store: memory.New(), Wrapper: root,
		ReadSource: func(_ context.Context, _ string, ref source.Ref) (source.Payload, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ref.Provider != "vaultkv":
				return source.Payload{}, fault.New(fault.Invalid, "source.provider: unknown")
			case kept == "":
				return source.Payload{}, fault.New(fault.Unavailable, "vaultkv does not give secret %s: it cannot be reached", ref.Name)
			}
			return source.Payload{Bytes: secret.FromString(`{"hmac":"` + kept + `"}`), Version: "7", Fields: true}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, func(o *rest.Options) { o.Keys = keys }), func(text string) {
		mu.Lock()
		defer mu.Unlock()
		kept = text
	}
}

const fromThere = `"source":{"provider":"vaultkv","name":"orders","field":"hmac","encoding":"base64","every":"15m"}`

func TestSource(t *testing.T) {
	f, set := startSourced(t)
	set(jefe)
	created := f.must(t, "POST", "/v1/keys", `{"name":"jefe","allow_weak":true,`+fromThere+`}`)
	k := decode[api.Key](t, created)
	if len(k.Warnings) == 0 || !strings.Contains(k.Warnings[0], "4 bytes") {
		t.Errorf("warnings: got %q, want one about 4 bytes", k.Warnings)
	}
	if got := f.must(t, "POST", "/v1/keys/jefe/sign", `{"text":"`+jefeText+`"}`); !strings.Contains(got.body, jefeTag) {
		t.Errorf("sign: got %s, want the tag of RFC 4231", got.body)
	}
	s := k.Source
	if s == nil || s.CheckedAt == nil || s.ChangedAt.IsZero() {
		t.Fatalf("source: got %+v", s)
	}
	want := api.KeySource{
		Provider: "vaultkv", Name: "orders", Field: "hmac", Encoding: "base64", Every: "15m", Version: "7", ChangedAt: s.ChangedAt, CheckedAt: s.CheckedAt,
	}
	if *s != want {
		t.Errorf("source: got %+v, want %+v", *s, want)
	}

	// A rotation reads now, and says whether there was anything new.
	k = decode[api.Key](t, f.must(t, "POST", "/v1/keys/jefe/rotate", ``))
	if !k.Source.Unchanged || k.Version != 1 {
		t.Errorf("rotate without a change: got version %d, %+v", k.Version, k.Source)
	}
	set("T3RoZXI=")
	k = decode[api.Key](t, f.must(t, "POST", "/v1/keys/jefe/rotate", `{"grace":"1h"}`))
	if k.Source.Unchanged || k.Version != 2 || k.Versions[0].State != "grace" {
		t.Errorf("rotate with a change: got version %d, %+v", k.Version, k.Source)
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/rotate", `{"revoke_current":true}`), 409, "conflict", "still has the secret of version 2")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/rotate", `{"at":"2999-01-01T00:00:00Z"}`), 422, "invalid", "changes at its source")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/schedule", `{"every":"24h"}`), 422, "invalid", "changes at its source")

	// A source that is away stands in the key, which goes on.
	set("")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/rotate", ``), 503, "unavailable", "cannot be reached")
	k = decode[api.Key](t, f.must(t, "GET", "/v1/keys/jefe", ""))
	if k.Source.Error != "vaultkv does not give secret orders: it cannot be reached" || k.Version != 2 {
		t.Errorf("get: got %+v", k.Source)
	}
	f.must(t, "POST", "/v1/keys/jefe/sign", `{"text":"a"}`)
	set("not base64 at all")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/rotate", ``), 422, "invalid", "not base64")
	for _, text := range []string{"not base64 at all", jefe, "T3RoZXI", "Jefe"} {
		if strings.Contains(f.log.String(), text) {
			t.Errorf("the log shows a secret: %s", f.log)
		}
	}
}

func TestSourceRefused(t *testing.T) {
	f, set := startSourced(t)
	set("c2l4dGVlbiBieXRlcyBvZiBpdA==")
	for body, want := range map[string]string{
		`{"name":"a","material":"` + jefe + `",` + fromThere + `}`:                                                          "either a source or a secret",
		`{"name":"a","wrapped":"` + jefe + `","import_id":"1",` + fromThere + `}`:                                           "either a source or a secret",
		`{"name":"a","source":{"provider":"other","name":"orders"}}`:                                                        "source.provider",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders"}}`:                                                      "source.field: is missing",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"none"}}`:                                       `no field \"none\"`,
		`{"name":"a","source":{"provider":"vaultkv","name":"../orders","field":"hmac"}}`:                                    "source.name",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","every":"59s"}}`:                         "source.every",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","every":"0s"}}`:                          "source.every",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","every":"often"}}`:                       "source.every",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","encoding":"rot13"}}`:                    "source.encoding",
		`{"name":"a","source":{"name":"orders"}}`:                                                                           "provider",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","surprise":1}}`:                          "unknown member",
		`{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","provider":"vaultkv","name":"orders2"}}`: "twice",
	} {
		if a := f.do(t, "POST", "/v1/keys", body); a.status != 422 && a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: got %d %s, want a refusal about %q", body, a.status, a.body, want)
		}
	}
	if list := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys", "")); len(list.Items) != 0 {
		t.Errorf("keys: got %+v, want none", list.Items)
	}
	f.must(t, "POST", "/v1/keys", `{"name":"a","source":{"provider":"vaultkv","name":"orders","field":"hmac","encoding":"base64","every":"30d"}}`)
}
