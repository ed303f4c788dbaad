package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store"
)

// cast authenticates by the name of a caller in place of a token: boss, the
// administrator of a tenant, in home and other; clerk, who has no role; and the
// holder of token.
func cast(o *rest.Options) {
	admin := o.Authenticate
	o.Authenticate = func(r *http.Request) (access.Caller, error) {
		switch r.Header.Get("Authorization") {
		case "home":
			return access.TenantAdministrator("boss", "home"), nil
		case "other":
			return access.TenantAdministrator("boss", "other"), nil
		case "clerk":
			return access.NewCaller("clerk", access.DefaultTenant, access.Compile(nil, nil)), nil
		case "seen":
			return access.Caller{}, fault.New(fault.Conflict, "the request was sent before")
		case "behind":
			return access.Caller{}, fault.New(fault.Unavailable, "not known here")
		case "broken":
			return access.Caller{}, fault.New(fault.Internal, "disk ate the page")
		}
		return admin(r)
	}
}

// route is one operation of the API.
type route struct{ method, path, id string }

// routes are all operations, of the description that the API gives.
func (f *fixture) routes(t *testing.T) []route {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal([]byte(f.must(t, "GET", "/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	var all []route
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID != "token.exchange" && op.OperationID != "me" { // which have tests of their own
				all = append(all, route{strings.ToUpper(method), path, op.OperationID})
			}
		}
	}
	if len(all) < 40 {
		t.Fatalf("got %d operations, which cannot be all", len(all))
	}
	return all
}

// fill puts something that exists, or does not, in the place of parameters.
func fill(path, value string) string {
	for _, p := range []string{"{name}", "{id}", "{credential}"} {
		path = strings.ReplaceAll(path, p, value)
	}
	return strings.ReplaceAll(path, "{version}", "1")
}

// TestEveryOperationDecides walks every method of every path. Who has no role
// gets the same 403, and who is unknown the same 401, for what is there and
// what is not, for bodies that are right, wrong and endless.
func TestEveryOperationDecides(t *testing.T) {
	f := start(t, func(o *rest.Options) { cast(o); o.Limits.Rejections = 10 })
	f.withJefe(t)
	f.must(t, "POST", "/v1/tenants", `{"name":"jefe"}`)
	f.must(t, "POST", "/v1/callers", `{"name":"jefe"}`)
	f.must(t, "PUT", "/v1/roles/jefe", `{"actions":["key.read"]}`)
	before, err := f.store.Tail(t.Context(), 0, store.MaxList)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.routes(t) {
		t.Run(r.id, func(t *testing.T) {
			refusals := map[string]bool{}
			for _, name := range []string{"jefe", "none", "NOT-A-NAME"} {
				for _, body := range []string{"", `{}`, `{"name":"x"`, `{"surplus":1}`} {
					a := f.do(t, r.method, fill(r.path, name), body, "Authorization", "clerk", "If-Match", `"7"`)
					p := refused(t, a, 403, "denied", " is not allowed")
					refusals[strings.Replace(a.body, p.RequestID, "", 1)] = true
					a = f.do(t, r.method, fill(r.path, name), body, "Authorization", "Bearer x")
					refused(t, a, 401, "unauthorized", "")
				}
			}
			if len(refusals) != 1 {
				t.Errorf("got different refusals: %v", refusals)
			}
		})
	}
	after, err := f.store.Tail(t.Context(), 0, store.MaxList)
	if err != nil || len(after) != len(before) {
		t.Errorf("got %d entries, want none: nothing was reached; %v", len(after)-len(before), err)
	}
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}
func (untouched) Close() error { return nil }

// TestDecisionsComeBeforeBodies sends bodies that are read by nobody.
func TestDecisionsComeBeforeBodies(t *testing.T) {
	var a *rest.API
	f := start(t, func(o *rest.Options) {
		cast(o)
		var err error
		if a, err = rest.New(*o); err != nil {
			t.Fatal(err)
		}
	})
	for _, r := range f.routes(t) {
		for who, want := range map[string]int{"clerk": 403, "nobody": 401} {
			req := httptest.NewRequest(r.method, fill(r.path, "a"), nil)
			req.Body, req.ContentLength = untouched{t}, 1<<40
			req.Header.Set("Authorization", who)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, req)
			if w.Code != want {
				t.Errorf("%s %s by %s: got %d, want %d", r.method, r.path, who, w.Code, want)
			}
		}
	}
}

// TestAuthenticationAnswers: what was sent before is 409, what is not known here
// 503, and every other refusal the same 401.
func TestAuthenticationAnswers(t *testing.T) {
	f := start(t, cast)
	refused(t, f.do(t, "GET", "/v1/keys", "", "Authorization", "seen"), 409, "conflict", "sent before")
	refused(t, f.do(t, "GET", "/v1/keys", "", "Authorization", "behind"), 503, "unavailable", "not known here")
	a := f.do(t, "GET", "/v1/keys", "", "Authorization", "broken")
	p := refused(t, a, 401, "unauthorized", "")
	b := f.do(t, "GET", "/v1/keys", "", "Authorization", "Bearer nobody")
	q := refused(t, b, 401, "unauthorized", "")
	if strings.Replace(a.body, p.RequestID, "", 1) != strings.Replace(b.body, q.RequestID, "", 1) {
		t.Errorf("got %s and %s", a.body, b.body)
	}
	log := f.log.String()
	for _, want := range []string{"disk ate the page", p.RequestID, "unknown token", q.RequestID} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: %s", want, log)
		}
	}
}

// TestTenantsAreApart makes the same in two tenants and finds nothing of one
// from the other, by any operation.
func TestTenantsAreApart(t *testing.T) {
	f := start(t, func(o *rest.Options) { cast(o); o.Limits.Rejections = 10 })
	home, other := []string{"Authorization", "home"}, []string{"Authorization", "other"}
	for _, name := range []string{"home", "other"} {
		f.must(t, "POST", "/v1/tenants", `{"name":"`+name+`"}`)
	}
	type made struct{ tag, lease, rejection, caller string }
	make := func(as []string) (m made) {
		f.must(t, "POST", "/v1/keys", `{"name":"same","exportable":true}`, as...)
		m.tag = decode[api.Signed](t, f.must(t, "POST", "/v1/keys/same/sign", `{"text":"a"}`, as...)).Tag
		m.lease = decode[api.Lease](t, f.must(t, "POST", "/v1/keys/same/leases", `{"ttl":"1h"}`, as...)).ID
		f.must(t, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"signer"}]}`, as...)
		m.caller = decode[api.Credential](t, f.must(t, "POST", "/v1/callers/ci/credentials", `{"kind":"token"}`, as...)).ID
		f.must(t, "POST", "/v1/requests/verify", `{"scheme":"github","key":"same","request":{"method":"POST","url":"https://a/"}}`, as...)
		m.rejection = decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections", "", as...)).Items[0].ID
		return m
	}
	mine, theirs := make(home), make(other)
	if mine.tag == theirs.tag {
		t.Error("two tenants have the same key")
	}
	if v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/same/verify", `{"text":"a","tag":"`+theirs.tag+`"}`, home...)); v.Valid {
		t.Error("the tag of another tenant is valid")
	}
	f.must(t, "POST", "/v1/keys", `{"name":"only-theirs"}`, other...)
	f.must(t, "POST", "/v1/callers", `{"name":"only-theirs"}`, other...)
	f.must(t, "PUT", "/v1/roles/only-theirs", `{"actions":["key.read"]}`, other...)
	for _, c := range [][2]string{
		{"GET", "/v1/keys/same/leases/" + theirs.lease}, {"DELETE", "/v1/keys/same/leases/" + theirs.lease},
		{"GET", "/v1/rejections/" + theirs.rejection}, {"DELETE", "/v1/callers/ci/credentials/" + theirs.caller},
		{"GET", "/v1/keys/only-theirs"}, {"DELETE", "/v1/keys/only-theirs"}, {"POST", "/v1/keys/only-theirs/sign"}, {"POST", "/v1/keys/only-theirs/rotate"},
		{"GET", "/v1/callers/only-theirs"}, {"DELETE", "/v1/callers/only-theirs"}, {"GET", "/v1/roles/only-theirs"}, {"DELETE", "/v1/roles/only-theirs"},
	} {
		refused(t, f.do(t, c[0], c[1], "", home...), 404, "not-found", "")
	}
	if list := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys", "", home...)); len(list.Items) != 1 {
		t.Errorf("got keys %+v", list.Items)
	}
	if list := decode[api.CallerList](t, f.must(t, "GET", "/v1/callers", "", home...)); len(list.Items) != 1 || list.Items[0].Tenant != "home" {
		t.Errorf("got callers %+v", list.Items)
	}
	page := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys?limit=1", "", other...))
	refused(t, f.do(t, "GET", "/v1/keys?cursor="+page.NextCursor, "", home...), 422, "invalid", "cursor")
	refused(t, f.do(t, "GET", "/v1/tenants", "", home...), 403, "denied", "tenant.read")

	// An operator chooses, nobody else does.
	in := []string{"Sealwright-Tenant", "other"}
	if v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/same/verify", `{"text":"a","tag":"`+theirs.tag+`"}`, in...)); !v.Valid {
		t.Error("the operator is not in the tenant that it has named")
	}
	refused(t, f.do(t, "GET", "/v1/keys/same", ""), 404, "not-found", "") // the default tenant has none
	refused(t, f.do(t, "GET", "/v1/keys", "", append(in, home...)...), 403, "denied", "another tenant")
	refused(t, f.do(t, "GET", "/v1/keys", "", "Authorization", "home", "Sealwright-Tenant", "nowhere"), 403, "denied", "another tenant")
	f.must(t, "GET", "/v1/keys", "", "Authorization", "home", "Sealwright-Tenant", "home")
	refused(t, f.do(t, "GET", "/v1/keys", "", "Sealwright-Tenant", "nowhere"), 404, "not-found", `no tenant "nowhere"`)
	refused(t, f.do(t, "GET", "/v1/keys", "", "Sealwright-Tenant", "home", "Sealwright-Tenant", "other"), 400, "malformed", "twice")
	refused(t, f.do(t, "GET", "/v1/keys", "", "Sealwright-Tenant", " "), 403, "denied", "")
}

func TestTenantOperations(t *testing.T) {
	f := start(t, cast)
	a := f.do(t, "POST", "/v1/tenants", `{"name":"home"}`)
	if got := decode[api.Tenant](t, a); a.status != 201 || a.header.Get("Location") != "/v1/tenants/home" || a.header.Get("ETag") != `"1"` || got.Name != "home" || got.Disabled || got.CreatedAt == nil {
		t.Errorf("got %+v", a)
	}
	refused(t, f.do(t, "POST", "/v1/tenants", `{"name":"home"}`), 409, "conflict", "exists already")
	refused(t, f.do(t, "POST", "/v1/tenants", `{"name":"A"}`), 422, "invalid", "name")
	refused(t, f.do(t, "PATCH", "/v1/tenants/home", `{"disabled":true}`, "If-Match", `"2"`), 412, "precondition-failed", "tenant has changed")
	refused(t, f.do(t, "PATCH", "/v1/tenants/none", `{"disabled":true}`), 404, "not-found", "none")
	refused(t, f.do(t, "PATCH", "/v1/tenants/home", `{}`), 422, "invalid", "disabled")
	if got := decode[api.Tenant](t, f.must(t, "PATCH", "/v1/tenants/home", `{"disabled":true}`, "If-Match", `"1"`)); !got.Disabled {
		t.Errorf("got %+v", got)
	}
	if got := decode[api.Tenant](t, f.must(t, "GET", "/v1/tenants/home", "")); !got.Disabled {
		t.Errorf("got %+v", got)
	}
	var names []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := decode[api.TenantList](t, f.must(t, "GET", "/v1/tenants?limit=1&cursor="+cursor, ""))
		names, cursor = append(names, page.Items[0].Name), page.NextCursor
	}
	if !slices.Equal(names, []string{"default", "home"}) {
		t.Errorf("got %v", names)
	}
}

func TestCallerOperations(t *testing.T) {
	f := start(t, cast)
	f.must(t, "POST", "/v1/tenants", `{"name":"home"}`)
	home := []string{"Authorization", "home"}
	a := f.do(t, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"signer","keys":["orders-*"],"purposes":["webhook"]}]}`, home...)
	got := decode[api.Caller](t, a)
	if a.status != 201 || a.header.Get("Location") != "/v1/callers/ci" || a.header.Get("ETag") != `"1"` || got.ID != "ci" || got.Tenant != "home" ||
		got.Grants[0].Keys[0] != "orders-*" || got.Grants[0].Purposes[0] != "webhook" || len(got.Credentials) != 0 {
		t.Errorf("got %+v", a)
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code, want               string
	}{
		{"Taken", "POST", "/v1/callers", `{"name":"ci"}`, 409, "conflict", "taken"},
		{"Regexp", "POST", "/v1/callers", `{"name":"x","grants":[{"role":"signer","keys":[".*"]}]}`, 422, "invalid", "grants[0].keys[0]"},
		{"UnknownRole", "POST", "/v1/callers", `{"name":"x","grants":[{"role":"root"}]}`, 422, "invalid", "grants[0].role"},
		{"MakesAnOperator", "POST", "/v1/callers", `{"name":"x","grants":[{"role":"operator"}]}`, 403, "denied", ""},
		{"BecomesAnOperator", "PATCH", "/v1/callers/ci", `{"grants":[{"role":"operator"}]}`, 422, "invalid", "operator"},
		{"SeesAnOperator", "GET", "/v1/callers/operator:x", ``, 403, "denied", ""},
		{"ListsOperators", "GET", "/v1/callers?operators=true", ``, 403, "denied", ""},
		{"NothingToChange", "PATCH", "/v1/callers/ci", `{}`, 422, "invalid", "grants or disabled"},
		{"NoCaller", "GET", "/v1/callers/none", ``, 404, "not-found", "none"},
		{"UnknownKind", "POST", "/v1/callers/ci/credentials", `{"kind":"password"}`, 422, "invalid", "kind"},
		{"ZeroTTL", "POST", "/v1/callers/ci/credentials", `{"kind":"token","ttl":"0s"}`, 422, "invalid", "ttl"},
		{"ShortTTL", "POST", "/v1/callers/ci/credentials", `{"kind":"token","ttl":"59s"}`, 422, "invalid", "ttl"},
		{"NoTTL", "POST", "/v1/callers/ci/credentials", `{"kind":"token","ttl":"soon"}`, 422, "invalid", "ttl"},
		{"NoCredential", "DELETE", "/v1/callers/ci/credentials/none", ``, 404, "not-found", ""},
		{"TakesRights", "PUT", "/v1/roles/r", `{"actions":["caller.create"]}`, 422, "invalid", "every right"},
		{"BuiltInRole", "PUT", "/v1/roles/signer", `{"actions":["key.read"]}`, 422, "invalid", "built in"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, f.do(t, tt.method, tt.path, tt.body, home...), tt.status, tt.code, tt.want)
		})
	}
	k := decode[api.Credential](t, f.must(t, "POST", "/v1/callers/ci/credentials", `{"kind":"signature","ttl":"2h"}`, home...))
	if !strings.HasPrefix(k.Secret, "sws_") || k.Kind != "signature" || k.State != "valid" || k.ExpiresAt.Sub(k.CreatedAt).Hours() != 2 {
		t.Errorf("got %+v", k)
	}
	for _, path := range []string{"/v1/callers/ci", "/v1/callers", "/v1/callers/ci/credentials"} {
		if a := f.must(t, "GET", path, "", home...); strings.Contains(a.body, "secret") || !strings.Contains(a.body, k.ID) {
			t.Errorf("%s: got %s", path, a.body)
		}
	}
	if log := f.log.String(); strings.Contains(log, k.Secret) {
		t.Error("the secret stands in the log")
	}
	f.must(t, "DELETE", "/v1/callers/ci/credentials/"+k.ID, "", home...)
	if list := decode[api.CredentialList](t, f.must(t, "GET", "/v1/callers/ci/credentials", "", home...)); list.Items[0].State != "revoked" || list.Items[0].RevokedAt == nil {
		t.Errorf("got %+v", list)
	}
	f.must(t, "PATCH", "/v1/callers/ci", `{"disabled":true}`, append(home, "If-Match", `"3"`)...)
	refused(t, f.do(t, "PATCH", "/v1/callers/ci", `{"disabled":false}`, append(home, "If-Match", `"3"`)...), 412, "precondition-failed", "")
	refused(t, f.do(t, "DELETE", "/v1/callers/ci", "", append(home, "If-Match", `"3"`)...), 412, "precondition-failed", "")
	f.must(t, "DELETE", "/v1/callers/ci", "", append(home, "If-Match", `"4"`)...)
	refused(t, f.do(t, "GET", "/v1/callers/ci", "", home...), 404, "not-found", "")

	f.must(t, "POST", "/v1/callers", `{"name":"alice","grants":[{"role":"operator"}]}`)
	if list := decode[api.CallerList](t, f.must(t, "GET", "/v1/callers?operators=true", "")); len(list.Items) != 1 || list.Items[0].ID != "operator:alice" || list.Items[0].Tenant != "" {
		t.Errorf("got operators %+v", list)
	}
	f.must(t, "DELETE", "/v1/callers/operator:alice", "")
}

func TestRoleOperations(t *testing.T) {
	f := start(t, nil)
	a := f.must(t, "PUT", "/v1/roles/rotator", `{"actions":["key.rotate"]}`)
	if got := decode[api.Role](t, a); a.header.Get("ETag") != `"1"` || got.Name != "rotator" || got.BuiltIn || !slices.Equal(got.Actions, []string{"key.rotate"}) {
		t.Errorf("got %+v", a)
	}
	list := decode[api.RoleList](t, f.must(t, "GET", "/v1/roles", ""))
	if len(list.Items) != 8 || !list.Items[0].BuiltIn || list.Items[7].Name != "rotator" {
		t.Errorf("got %+v", list)
	}
	if got := decode[api.Role](t, f.must(t, "GET", "/v1/roles/verifier", "")); !got.BuiltIn || !slices.Equal(got.Actions, []string{"key.read", "key.verify"}) {
		t.Errorf("got %+v", got)
	}
	refused(t, f.do(t, "PUT", "/v1/roles/rotator", `{"actions":["key.read"]}`, "If-Match", `"2"`), 412, "precondition-failed", "role has changed")
	f.must(t, "PUT", "/v1/roles/rotator", `{"actions":["key.read"]}`, "If-Match", `"1"`)
	f.must(t, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"rotator"}]}`)
	refused(t, f.do(t, "DELETE", "/v1/roles/rotator", ""), 409, "conflict", "take it away first")
	f.must(t, "DELETE", "/v1/callers/ci", "")
	f.must(t, "DELETE", "/v1/roles/rotator", "")
	refused(t, f.do(t, "GET", "/v1/roles/rotator", ""), 404, "not-found", "rotator")
}
