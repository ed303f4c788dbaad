package servertest_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/servertest"
)

// A test talks to a real server of its own.
func ExampleStart() {
	_ = func(t *testing.T) {
		s := servertest.Start(t)
		if status, _, body := s.Do(t, "POST", "/v1/keys", `{"name":"orders"}`); status != 201 {
			t.Fatalf("create key: got %d %s", status, body)
		}
		_, _, body := s.Do(t, "POST", "/v1/keys/orders/sign", `{"text":"hello"}`)
		if !strings.Contains(body, `"key":"orders"`) {
			t.Errorf("got %s", body)
		}
	}
}

func TestStart(t *testing.T) {
	s := servertest.Start(t)
	if status, _, body := s.Do(t, "GET", "/v1/keys", ""); status != 200 || strings.TrimSpace(body) != `{"items":[]}` {
		t.Errorf("got %d %s", status, body)
	}
	if !strings.Contains(s.Out.String(), string(s.Token.Expose())) {
		t.Errorf("printed %q", s.Out.String())
	}
	for range 2 { // a second Stop does nothing
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(s.Log.String(), `"op":"keys.list"`) {
		t.Errorf("logged %q", s.Log.String())
	}
}
