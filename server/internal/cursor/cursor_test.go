package cursor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/cursor"
	"github.com/sealwright/sealwright/server/internal/fault"
)

func sealer(t *testing.T, s secret.Bytes) *cursor.Sealer {
	t.Helper()
	c, err := cursor.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen(t *testing.T) {
	shared := secret.New([]byte(strings.Repeat("k", 32)))
	a, same, other := sealer(t, shared), sealer(t, shared), sealer(t, secret.Bytes{})
	text, err := a.Seal("t", "orders")
	if err != nil {
		t.Fatal(err)
	}
	long, err := a.Seal("t", strings.Repeat("a", cursor.Max))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		by     *cursor.Sealer
		scope  string
		cursor string
		want   string
		bad    bool
	}{
		{"Own", a, "t", text, "orders", false},
		{"OfAnotherNode", same, "t", text, "orders", false},
		{"None", a, "t", "", "", false},
		{"OtherSecret", other, "t", text, "", true},
		{"OtherScope", a, "u", text, "", true},
		{"Changed", a, "t", "A" + text[1:len(text)-1] + "x", "", true},
		{"Cut", a, "t", text[:len(text)-2], "", true},
		{"Short", a, "t", "AAAA", "", true},
		{"NotBase64", a, "t", "*" + text[1:], "", true},
		{"TooLong", a, "t", long, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.by.Open(tt.scope, tt.cursor)
			if got != tt.want || (err != nil) != tt.bad || err != nil && !errors.Is(err, fault.Invalid) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
