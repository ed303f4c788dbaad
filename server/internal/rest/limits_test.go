package rest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/quota"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// startLimited has a limit of the platform and those that tenants make.
func startLimited(t *testing.T) *fixture {
	t.Helper()
	limiter := limit.NewLimiter(limit.Local{Map: limit.NewMap(time.Now(), 0)})
	return startWith(t, func(f *fixture, o *rest.Options) {
		quotas, err := quota.Open(context.Background(), quota.Options{
			Store: f.store, Limiter: limiter,
			Platform: []limit.Rule{{Name: "all", Scope: limit.ScopeCaller, Rate: 1000, Per: limit.Hour}},
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Limiter, o.Quotas = limiter, quotas
	})
}

func TestLimitRecords(t *testing.T) {
	f := startLimited(t)
	f.withJefe(t)
	const path, body = "/v1/limits/keys", `{"scope":"key","rate":2,"per":"hour"}`
	made := f.must(t, "PUT", path, body)
	want := api.Limit{Name: "keys", Scope: "key", Rate: 2, Per: "hour", Burst: 2}
	if got := decode[api.Limit](t, made); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	list := decode[api.LimitList](t, f.must(t, "GET", "/v1/limits", "")).Items
	if len(list) != 2 || list[0] != want || list[1].Name != "all" || !list[1].Platform {
		t.Errorf("got limits %+v", list)
	}
	const sign = "/v1/keys/jefe/sign"
	f.must(t, "POST", sign, `{"text":"a"}`)
	got := decode[api.Limit](t, f.must(t, "GET", path+"?subject=jefe", "")).Usage
	if got == nil || got.Used != 1 || got.Remaining != 1 || got.Subject != "jefe" || got.Reset <= 0 || got.Reset > 1800 {
		t.Errorf("got usage %+v, want 1 of 2", got)
	}
	f.must(t, "POST", sign, `{"text":"a"}`)
	refused(t, f.do(t, "POST", sign, `{"text":"a"}`), 429, "rate-limited", "")
	if used := decode[api.Limit](t, f.must(t, "GET", "/v1/limits/all?subject=admin", "")).Usage; used == nil || used.Used < 5 {
		t.Errorf("got usage %+v of the limit of the platform", used)
	}

	refused(t, f.do(t, "PUT", path, body, "If-Match", `"7"`), 412, "precondition-failed", "")
	f.must(t, "PUT", path, `{"scope":"key","rate":100,"per":"hour","burst":1000}`, "If-Match", made.header.Get("ETag"))
	f.must(t, "POST", sign, `{"text":"a"}`)
	f.must(t, "DELETE", path, "")
	refused(t, f.do(t, "GET", path, ""), 404, "not-found", "no limit")
	for range 9 {
		f.must(t, "POST", sign, `{"text":"a"}`)
	}
}

func TestLimitRecordsRefused(t *testing.T) {
	f := startLimited(t)
	f.must(t, "PUT", "/v1/limits/a", `{"scope":"key","rate":1,"per":"hour"}`)
	f.must(t, "PUT", "/v1/limits/t", `{"scope":"tenant","rate":900,"per":"day"}`)
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"Same":            {"PUT", "/v1/limits/b", `{"scope":"key","rate":2,"per":"hour"}`, 422, "the same scope, period and match"},
		"Address":         {"PUT", "/v1/limits/b", `{"scope":"address","rate":2,"per":"hour"}`, 422, ""},
		"Period":          {"PUT", "/v1/limits/b", `{"scope":"key","rate":2,"per":"year"}`, 422, ""},
		"Rate":            {"PUT", "/v1/limits/b", `{"scope":"key","rate":0,"per":"hour"}`, 422, ""},
		"TooFast":         {"PUT", "/v1/limits/b", `{"scope":"tenant","rate":1000001,"per":"second"}`, 422, "rate"},
		"Name":            {"PUT", "/v1/limits/A", `{"scope":"tenant","rate":1,"per":"second"}`, 422, "name"},
		"Platform":        {"DELETE", "/v1/limits/all", ``, 404, "no limit"},
		"NoSubject":       {"GET", "/v1/limits/all?subject=" + strings.Repeat("a", 600), ``, 422, "subject"},
		"TenantOfAnother": {"GET", "/v1/limits/t?subject=other", ``, 422, "subject"},
	} {
		t.Run(name, func(t *testing.T) {
			a := f.do(t, tt.method, tt.path, tt.body)
			if a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("got %d %s, want %d and %q", a.status, a.body, tt.status, tt.want)
			}
		})
	}
}
