package rest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

func TestCreateKey(t *testing.T) {
	f := start(t, nil)
	tests := []struct {
		name, body string
		want       api.Key // without times
	}{
		{"OnlyAName", `{"name":"a"}`,
			api.Key{Name: "a", KeyID: "a", Algorithm: "hmac-sha256", Version: 1, Versions: []api.KeyVersion{{Version: 1, State: "active", Signs: true, Bytes: 32}}}},
		{"Everything", `{"name":"b.c_d-e","key_id":"B~1","algorithm":"hmac-sha512","exportable":true}`,
			api.Key{Name: "b.c_d-e", KeyID: "B~1", Algorithm: "hmac-sha512", Exportable: true, Version: 1,
				Versions: []api.KeyVersion{{Version: 1, State: "active", Signs: true, Bytes: 64}}}},
		{"Import", `{"name":"jefe","material":"` + jefe + `","allow_weak":true}`,
			api.Key{Name: "jefe", KeyID: "jefe", Algorithm: "hmac-sha256", Version: 1, Versions: []api.KeyVersion{{Version: 1, State: "active", Signs: true, Bytes: 4}},
				Warnings: []string{"the secret has 4 bytes, fewer than 16: it may be guessed"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.do(t, "POST", "/v1/keys", tt.body)
			if a.status != 201 || a.header.Get("Location") != "/v1/keys/"+tt.want.Name || a.header.Get("ETag") != `"1"` {
				t.Fatalf("got %d %v %s", a.status, a.header, a.body)
			}
			got := decode[api.Key](t, a)
			if got.CreatedAt.IsZero() || !got.Versions[0].CreatedAt.Equal(got.CreatedAt) {
				t.Errorf("got times %v and %v", got.CreatedAt, got.Versions[0].CreatedAt)
			}
			warnings := got.Warnings
			got.Warnings = nil // only the answer to the import has them
			again := decode[api.Key](t, f.must(t, "GET", "/v1/keys/"+tt.want.Name, ""))
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("get (-created +got):\n%s", diff)
			}
			got.Warnings = warnings
			if at := got.Versions[0].ActivatedAt; at == nil || !at.Equal(got.CreatedAt) {
				t.Errorf("got activated at %v", at)
			}
			got.CreatedAt, got.Versions[0].CreatedAt, got.Versions[0].ActivatedAt = tt.want.CreatedAt, tt.want.CreatedAt, nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("key (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateKeyRefuses(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"taken"}`)
	tests := []struct {
		name, body string
		status     int
		code, want string
	}{
		{"TakenName", `{"name":"taken"}`, 409, "conflict", `"taken" is taken`},
		{"NoName", `{}`, 422, "invalid", "name"},
		{"UpperCaseName", `{"name":"A"}`, 422, "invalid", "name"},
		{"NameWithSlash", `{"name":"a/b"}`, 422, "invalid", "name"},
		{"NameOf129Bytes", `{"name":"` + strings.Repeat("a", 129) + `"}`, 422, "invalid", "129"},
		{"KeyIDWithComma", `{"name":"a","key_id":"a,b"}`, 422, "invalid", "key_id"},
		{"UnknownAlgorithm", `{"name":"a","algorithm":"hmac-sha255"}`, 422, "invalid", "algorithm"},
		{"UnknownMember", `{"name":"a","secret":"x"}`, 422, "invalid", "body: unknown member, before byte 20"},
		{"OtherCase", `{"Name":"a"}`, 422, "invalid", "body: unknown member"},
		{"WrongType", `{"name":5}`, 422, "invalid", "body.name"},
		{"MaterialNotBase64", `{"name":"a","material":"!"}`, 422, "invalid", "body.material"},
		{"MaterialWithLineEnd", `{"name":"a","material":"` + jefe + `\n","allow_weak":true}`, 422, "invalid", "body.material"},
		{"MaterialWithoutPadding", `{"name":"a","material":"SmVmZQ","allow_weak":true}`, 422, "invalid", "body.material"},
		{"MaterialOf13Bytes", `{"name":"a","material":"MDEyMzQ1Njc4OTAxMg=="}`, 422, "invalid", "13 bytes"},
		{"MaterialTooLong", `{"name":"a","material":"` + strings.Repeat("AAAA", 4096/3+1) + `"}`, 422, "invalid", "4098"},
		{"Syntax", `{"name":"a",}`, 400, "malformed", "bad JSON at byte 13"},
		{"Twice", `{"name":"a","name":"b"}`, 400, "malformed", "twice"},
		{"Array", `[]`, 422, "invalid", "body"},
		{"Empty", ``, 400, "malformed", "JSON body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, f.do(t, "POST", "/v1/keys", tt.body), tt.status, tt.code, tt.want)
		})
	}
	if list := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys", "")); len(list.Items) != 1 {
		t.Errorf("got %d keys, want the one that was not refused", len(list.Items))
	}
}

func TestListKeys(t *testing.T) {
	f := start(t, nil)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("key-%d", i)
		f.must(t, "POST", "/v1/keys", `{"name":"`+name+`"}`)
		want = append(want, name)
	}
	f.must(t, "POST", "/v1/keys", `{"name":"key-5x"}`)
	f.must(t, "DELETE", "/v1/keys/key-5x", "")
	for _, limit := range []int{1, 3, 7, 1000} {
		var got []string
		pages := 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page := decode[api.KeyList](t, f.must(t, "GET", fmt.Sprintf("/v1/keys?limit=%d&cursor=%s", limit, cursor), ""))
			if len(page.Items) > limit {
				t.Fatalf("limit %d: got %d items", limit, len(page.Items))
			}
			for _, k := range page.Items {
				got = append(got, k.Name)
			}
			cursor = page.NextCursor
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != (len(want)+limit-1)/limit {
			t.Errorf("limit %d: %d pages (-want +got):\n%s", limit, pages, diff)
		}
	}
	if a := start(t, nil).must(t, "GET", "/v1/keys", ""); strings.TrimSpace(a.body) != `{"items":[]}` {
		t.Errorf("no keys: got %s", a.body)
	}
}

func TestListKeysRefuses(t *testing.T) {
	f := start(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		f.must(t, "POST", "/v1/keys", `{"name":"`+name+`"}`)
	}
	cursor := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys?limit=1", "")).NextCursor
	first := "A"
	if cursor[0] == 'A' {
		first = "B"
	}
	tests := []struct{ name, query, want string }{
		{"LimitZero", "limit=0", "query.limit"},
		{"LimitOver1000", "limit=1001", "query.limit"},
		{"LimitNoNumber", "limit=ten", "query.limit"},
		{"UnknownParameter", "offset=3", "query.offset"},
		{"CursorCut", "cursor=" + cursor[:len(cursor)-2], "cursor"},
		{"CursorLonger", "cursor=" + cursor + "AA", "cursor"},
		{"CursorChanged", "cursor=" + first + cursor[1:], "cursor"},
		{"CursorOfText", "cursor=b", "cursor"},
		{"CursorTooLong", "cursor=" + strings.Repeat("A", 1000), "cursor"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, f.do(t, "GET", "/v1/keys?"+tt.query, ""), 422, "invalid", tt.want)
		})
	}
	refused(t, start(t, nil).do(t, "GET", "/v1/keys?cursor="+cursor, ""), 422, "invalid", "cursor") // of another process
}

func TestRotateKey(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	a := f.must(t, "POST", "/v1/keys/jefe/rotate", "")
	k := decode[api.Key](t, a)
	if k.Version != 2 || len(k.Versions) != 2 || k.Versions[0].Signs || !k.Versions[1].Signs || a.header.Get("ETag") != `"2"` {
		t.Fatalf("got %s %s", a.header.Get("ETag"), a.body)
	}
	if v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","tag":"`+jefeTag+`"}`)); !v.Valid || v.Version != 1 {
		t.Errorf("the old version does not verify: %+v", v)
	}
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/jefe/sign", `{"text":"`+jefeText+`"}`))
	if s.Version != 2 || s.Tag == jefeTag {
		t.Errorf("signed with version %d", s.Version)
	}
	if v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","tag":"`+s.Tag+`"}`)); !v.Valid || v.Version != 2 {
		t.Errorf("the new version does not verify: %+v", v)
	}
	refused(t, f.do(t, "POST", "/v1/keys/none/rotate", ""), 404, "not-found", "none")
}

func TestDeleteKey(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	if a := f.do(t, "DELETE", "/v1/keys/jefe", ""); a.status != 204 || a.body != "" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	refused(t, f.do(t, "DELETE", "/v1/keys/jefe", ""), 404, "not-found", "jefe")
	refused(t, f.do(t, "GET", "/v1/keys/jefe", ""), 404, "not-found", "jefe")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", `{"text":"a"}`), 404, "not-found", "jefe")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","tag":"`+jefeTag+`"}`), 404, "not-found", "jefe")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/reveal", ""), 404, "not-found", "jefe")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"jefe"}`), 409, "conflict", "jefe")
}

func TestRevealKey(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"open","exportable":true,"material":"MDEyMzQ1Njc4OTAxMjM0NQ=="}`)
	f.must(t, "POST", "/v1/keys/open/rotate", "")
	f.must(t, "POST", "/v1/keys", `{"name":"closed"}`)
	a := f.must(t, "POST", "/v1/keys/open/reveal", "")
	r := decode[api.Revealed](t, a)
	if len(r.Versions) != 2 || string(r.Versions[0].Material) != "0123456789012345" || r.Versions[1].Version != 2 || len(r.Versions[1].Material) != 32 {
		t.Errorf("got %s", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got Cache-Control %q", a.header.Get("Cache-Control"))
	}
	refused(t, f.do(t, "POST", "/v1/keys/closed/reveal", ""), 403, "denied", "not exportable")
	for _, path := range []string{"/v1/keys", "/v1/keys/open", "/v1/keys/closed"} {
		if a := f.must(t, "GET", path, ""); strings.Contains(a.body, "MDEyMzQ1") || strings.Contains(a.body, "material") {
			t.Errorf("%s shows the secret: %s", path, a.body)
		}
	}
}

func TestPreconditions(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.must(t, "POST", "/v1/keys/jefe/rotate", "") // the ETag is "2"
	for _, match := range []string{`"1"`, `W/"2"`, `2`, `"1", "3"`, `"*"`} {
		refused(t, f.do(t, "POST", "/v1/keys/jefe/rotate", "", "If-Match", match), 412, "precondition-failed", "If-Match")
		refused(t, f.do(t, "DELETE", "/v1/keys/jefe", "", "If-Match", match), 412, "precondition-failed", "If-Match")
	}
	refused(t, f.do(t, "DELETE", "/v1/keys/jefe", "", "If-Match", `"2"`, "If-Match", `"2"`), 400, "malformed", "If-Match stands twice")
	refused(t, f.do(t, "DELETE", "/v1/keys/none", "", "If-Match", `*`), 404, "not-found", "none")

	if a := f.do(t, "GET", "/v1/keys/jefe", "", "If-None-Match", `W/"2"`); a.status != 304 || a.body != "" || a.header.Get("ETag") != `"2"` {
		t.Errorf("If-None-Match: got %d %v %q", a.status, a.header, a.body)
	}
	f.must(t, "GET", "/v1/keys/jefe", "", "If-None-Match", `"1"`)
	if a := f.must(t, "POST", "/v1/keys/jefe/rotate", "", "If-Match", `"1", "2"`); a.header.Get("ETag") != `"3"` {
		t.Errorf("got ETag %s", a.header.Get("ETag"))
	}
	f.must(t, "POST", "/v1/keys/jefe/rotate", "", "If-Match", `*`)
	f.must(t, "DELETE", "/v1/keys/jefe", "", "If-Match", `"4"`)
}

// TestPreconditionsHoldInParallel rotates a key from many sides, all with the
// same ETag: one of them may win.
func TestPreconditionsHoldInParallel(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	statuses := make(chan int)
	const sides = 16
	for range sides {
		go func() {
			r, err := http.NewRequest("POST", f.url+"/v1/keys/a/rotate", nil)
			if err != nil {
				statuses <- 0
				return
			}
			r.Header = http.Header{"Authorization": {"Bearer " + token}, "If-Match": {`"1"`}}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				statuses <- 0
				return
			}
			a.Body.Close()
			statuses <- a.StatusCode
		}()
	}
	got := map[int]int{}
	for range sides {
		got[<-statuses]++
	}
	if diff := cmp.Diff(map[int]int{200: 1, 412: sides - 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if k := decode[api.Key](t, f.must(t, "GET", "/v1/keys/a", "")); k.Version != 2 {
		t.Errorf("got version %d", k.Version)
	}
}

func TestBrokenStore(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	cause := errors.New("disk ate the page")
	f.store.Fail(memory.Fault{Err: cause}, memory.Fault{Err: cause})
	p := refused(t, f.do(t, "POST", "/v1/keys", `{"name":"b"}`), 500, "internal", "internal error")
	if strings.Contains(p.Error(), "disk") {
		t.Errorf("the caller sees the cause: %s", p.Error())
	}
	op := f.last(t, 2)
	if op.Outcome != "error" || op.Status != 500 || op.Reason != "internal" {
		t.Errorf("reported as %+v", op)
	}
	if log := f.log.String(); !strings.Contains(log, "disk ate the page") || !strings.Contains(log, op.RequestID) {
		t.Errorf("the log has not the cause: %s", log)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Schemes = coded(t, "github", func(*scheme.Definition, scheme.Params) (sealwright.Scheme, error) { panic("scheme of glass") })
	})
	f.withJefe(t)
	refused(t, f.do(t, "POST", "/v1/requests/verify", `{"scheme":"github","key":"jefe","request":{"method":"POST","url":"https://a/"}}`), 500, "internal", "internal error")
	op := f.last(t, 2)
	if op.Outcome != "error" || op.Status != 500 {
		t.Errorf("reported as %+v", op)
	}
	if log := f.log.String(); !strings.Contains(log, "scheme of glass") || !strings.Contains(log, "stack") {
		t.Errorf("the log has not the panic: %s", log)
	}
	f.must(t, "GET", "/v1/keys", "") // it serves on
}

func TestOpenAPI(t *testing.T) {
	f := start(t, nil)
	a := f.must(t, "GET", "/openapi.json", "", "Authorization", "")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Info    struct{ Version string }
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" {
		t.Errorf("got OpenAPI %s of version %s", doc.OpenAPI, doc.Info.Version)
	}
	want := map[string][]string{
		"/v1/keys": {"get", "post"}, "/v1/keys/{name}": {"get", "delete"}, "/v1/keys/{name}/rotate": {"post"}, "/v1/keys/{name}/reveal": {"post"},
		"/v1/keys/{name}/sign": {"post"}, "/v1/keys/{name}/verify": {"post"}, "/v1/requests/sign": {"post"}, "/v1/requests/verify": {"post"},
		"/v1/keys/{name}/schedule": {"post"}, "/v1/keys/{name}/restore": {"post"}, "/v1/keys/{name}/export": {"post"},
		"/v1/keys/{name}/versions/{version}/promote": {"post"}, "/v1/keys/{name}/versions/{version}/revoke": {"post"},
		"/v1/keys/{name}/versions/{version}/retire": {"post"}, "/v1/keys/{name}/versions/{version}/restore": {"post"},
		"/v1/keys/{name}/versions/{version}/destroy": {"post"}, "/v1/keys/{name}/versions/{version}/destroy/cancel": {"post"},
		"/v1/keys/{name}/leases": {"get", "post"}, "/v1/keys/{name}/leases/{id}": {"get", "delete"}, "/v1/keys/{name}/leases/{id}/verify": {"post"},
		"/v1/import-params": {"post"}, "/v1/recipients": {"get", "post"}, "/v1/recipients/{name}": {"delete"},
		"/v1/kms": {"get"}, "/v1/kms/rewrap": {"post"},
		"/v1/tenants": {"get", "post"}, "/v1/tenants/{name}": {"get", "patch"}, "/v1/roles": {"get"}, "/v1/roles/{name}": {"get", "put", "delete"},
		"/v1/callers": {"get", "post"}, "/v1/callers/{id}": {"get", "patch", "delete"},
		"/v1/callers/{id}/credentials": {"get", "post"}, "/v1/callers/{id}/credentials/{credential}": {"delete"},
		"/v1/doctor": {"post"}, "/v1/rejections": {"get"}, "/v1/rejections/{id}": {"get"}, "/v1/token": {"post"}, "/v1/me": {"get"},
		"/v1/policies": {"get", "post"}, "/v1/policies/{id}": {"get", "put", "delete"}, "/v1/policies/{id}/versions": {"get"},
		"/v1/policies/{id}/rollback": {"post"}, "/v1/policies/{id}/explain": {"post"},
		"/v1/limits": {"get"}, "/v1/limits/{name}": {"get", "put", "delete"},
	}
	for path, methods := range want {
		for _, m := range methods {
			if op, ok := doc.Paths[path][m]; !ok || op.OperationID == "" || !strings.Contains(string(op.Responses["default"]), "problem+json") {
				t.Errorf("%s %s: got %+v", m, path, op)
			}
		}
	}
	if len(doc.Paths) != len(want) {
		t.Errorf("got %d paths, want %d", len(doc.Paths), len(want))
	}
	if strings.Contains(a.body, "ErrorModel") || strings.Contains(a.body, "$schema") {
		t.Error("the document has types of the framework")
	}
	for _, ref := range strings.Split(a.body, `"$ref": "#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		if !strings.Contains(a.body, `"`+name+`": {`) {
			t.Errorf("schema %s is missing", name)
		}
	}
}

func TestHealth(t *testing.T) {
	ready, notice := false, ""
	f := start(t, func(o *rest.Options) {
		o.Ready = func() bool { return ready }
		o.Notice = func() string { return notice }
	})
	if a := f.do(t, "GET", "/healthz", "", "Authorization", ""); a.status != http.StatusOK {
		t.Errorf("healthz: got %d", a.status)
	}
	refused(t, f.do(t, "GET", "/readyz", "", "Authorization", ""), 503, "unavailable", "starting or stopping")
	ready = true
	if a := f.do(t, "GET", "/readyz", "", "Authorization", ""); a.status != http.StatusOK {
		t.Errorf("readyz: got %d", a.status)
	}
	for text, want := range map[string]string{"": "ok\n", "something is away": "ok\nsomething is away\n"} {
		notice = text
		if a := f.do(t, "GET", "/readyz", "", "Authorization", ""); a.status != http.StatusOK || string(a.body) != want {
			t.Errorf("readyz: got %d %q, want %q", a.status, a.body, want)
		}
	}
}
