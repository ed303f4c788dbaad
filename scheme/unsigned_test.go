package scheme_test

import (
	"testing"

	"github.com/sealwright/sealwright"
)

func TestUnsigned(t *testing.T) {
	for _, tt := range []struct {
		name, from string
		m          sealwright.Message
		want       bool
	}{
		{"HeaderAbsent", "header:X-Tag", sealwright.Message{}, true},
		{"HeaderThere", "header:X-Tag", sealwright.Message{Header: map[string][]string{"X-Tag": {""}}}, false},
		{"QueryAbsent", "query:sig", sealwright.Message{Target: "/?a=b&signature=c"}, true},
		{"QueryThere", "query:sig", sealwright.Message{Target: "/?a=b&%73ig=c"}, false},
		{"Body", "json:/sig", sealwright.Message{}, false},
		{"Form", "form:sig", sealwright.Message{}, false},
	} {
		s, err := build(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"`+tt.from+`","encoding":"hex"},"message":["{method}"]`, nil)
		if err != nil {
			t.Fatal(err)
		}
		u, ok := s.(interface {
			Unsigned(*sealwright.Message) bool
		})
		if !ok {
			t.Fatal("the scheme cannot say that a message is not signed")
		}
		if got := u.Unsigned(&tt.m); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
