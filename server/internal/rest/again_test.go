package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// Who loses its rights while a long body comes in gets nothing for it; bodies
// that come within the time of the server's own deadline are not looked at again.
func TestAgain(t *testing.T) {
	verifier := access.NewCaller("ci", access.DefaultTenant, access.Compile([]access.Grant{{Role: access.Verifier}}, nil))
	for _, tt := range []struct {
		name  string
		again func(access.Caller) (access.Caller, error)
		want  int // for a long body
	}{
		{"Unchanged", func(c access.Caller) (access.Caller, error) { return c, nil }, http.StatusOK},
		{"Disabled", func(access.Caller) (access.Caller, error) {
			return access.Caller{}, fault.New(fault.Denied, "disabled")
		}, http.StatusUnauthorized},
		{"OtherRole", func(access.Caller) (access.Caller, error) { return verifier, nil }, http.StatusForbidden},
		{"NotKnown", func(access.Caller) (access.Caller, error) {
			return access.Caller{}, fault.New(fault.Unavailable, "stale")
		}, http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			f := start(t, func(o *rest.Options) {
				o.Again = func(c access.Caller) (access.Caller, error) { asked++; return tt.again(c) }
			})
			if got := f.do(t, "POST", "/v1/keys", `{"name":"a"}`); got.status != http.StatusCreated {
				t.Fatal(got)
			}
			long := strings.Repeat("x", 200<<10)
			for name, send := range map[string]func() answer{
				"Stream": func() answer {
					return f.send(t, "POST", "/v1/keys/a/sign", io.MultiReader(strings.NewReader(long)), "Content-Type", "application/octet-stream")
				},
				"Document": func() answer { return f.do(t, "POST", "/v1/keys/a/sign", `{"text":"`+long+`"}`) },
			} {
				asked = 0
				if got := send(); got.status != tt.want || asked != 1 || strings.Contains(got.body, `"tag"`) != (tt.want == http.StatusOK) {
					t.Errorf("%s: got %d %s, asked %d times", name, got.status, got.body, asked)
				}
			}
			asked = 0
			if got := f.do(t, "POST", "/v1/keys/a/sign", `{"text":"x"}`); got.status != http.StatusOK || asked != 0 {
				t.Errorf("short: got %d %s, asked %d times", got.status, got.body, asked)
			}
		})
	}
}
