//go:build !race

package rest_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// sink is a response that keeps nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// TestAllocsSign holds signing of 1 KiB to its budget beside what net/http
// itself allocates: the path values of the mux, the request ID with its header,
// and nothing that grows with the message.
func TestAllocsSign(t *testing.T) {
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := custody.Open(context.Background(), custody.Options{Store: memory.New(), Wrapper: root})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Create(context.Background(), access.Administrator(), custody.CreateKey{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	status := 0
	a, err := rest.New(rest.Options{
		Keys:         keys,
		Authenticate: func(*http.Request) (access.Caller, error) { return caller, nil },
		Record:       func(op rest.Operation) { status = op.Status },
		Metrics:      http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.NewReader(`{"text":"` + strings.Repeat("0123456789abcdef", 64) + `"}`)
	r := &http.Request{
		Method: "POST", URL: &url.URL{Path: "/v1/keys/a/sign"}, Host: "a", ContentLength: body.Size(), Body: io.NopCloser(body),
		Header: http.Header{"Authorization": {"Bearer x"}, "Content-Type": {"application/json"}},
	}
	w := &sink{http.Header{}}
	once := func() {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		a.ServeHTTP(w, r)
	}
	for range 100 {
		once()
	}
	if got := testing.AllocsPerRun(1000, once); got > 3 || status != http.StatusOK {
		t.Errorf("got %v allocations with status %d, want at most 3", got, status)
	}
}

var caller = access.Administrator()
