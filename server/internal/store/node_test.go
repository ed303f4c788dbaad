package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

func TestNodeCheck(t *testing.T) {
	full := strings.Repeat("x", store.MaxText)
	for _, tt := range []struct {
		name string
		node store.Node
		ok   bool
	}{
		{"OnlyID", store.Node{ID: "a"}, true},
		{"LongestTexts", store.Node{ID: full, About: full, Seq: 1}, true},
		{"NoID", store.Node{About: "a"}, false},
		{"NegativeSeq", store.Node{ID: "a", Seq: -1}, false},
		{"IDTooLong", store.Node{ID: full + "x"}, false},
		{"AboutNotUTF8", store.Node{ID: "a", About: "\xff"}, false},
	} {
		if err := tt.node.Check(); (err == nil) != tt.ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want ok %v", tt.name, err, tt.ok)
		}
	}
}
