package idempotency_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/idempotency"
)

func TestParseKey(t *testing.T) {
	long := strings.Repeat("a", idempotency.MaxKey)
	for field, want := range map[string]string{
		`"8e03978e-40d5-43dd-bc93-6894a57f9324"`: "8e03978e-40d5-43dd-bc93-6894a57f9324",
		` "a b" `:                                "a b",
		`"a\"b\\c"`:                              `a"b\c`,
		`"~ !"`:                                  "~ !",
		`"` + long + `"`:                         long,
	} {
		if got, err := idempotency.ParseKey(field); got != want || err != nil {
			t.Errorf("ParseKey %s: got %q, %v, want %q", field, got, err, want)
		}
	}
	for _, field := range []string{
		``, `"`, `""`, `a`, `8e03978e`, `"a`, `a"`, `"a"b`, `"a";p`, `"a" , "b"`, `"a\"`, `"a\b"`, `"a\`, "\"a\x7f\"", "\"a\x1f\"", `"ä"`,
		"\t\"a\"", `"` + long + `a"`, `'a'`, `:YQ==:`,
	} {
		if got, err := idempotency.ParseKey(field); got != "" || fault.KindOf(err) != fault.Invalid {
			t.Errorf("ParseKey %s: got %q, %v, want a refusal", field, got, err)
		}
	}
}
