package idempotency

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// MaxKey is the most characters of an idempotency key.
const MaxKey = 255

// ParseKey reads the field Idempotency-Key: a String of RFC 9651, section 3.3.3,
// without parameters, of 1 to [MaxKey] characters. Errors are of kind
// [fault.Invalid].
func ParseKey(field string) (string, error) {
	text, ok := strings.CutPrefix(strings.Trim(field, " "), `"`)
	if !ok {
		return "", badKey("does not begin with a quotation mark")
	}
	var key strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && i == len(text)-1:
			if n := key.Len(); n == 0 || n > MaxKey {
				return "", badKey(fmt.Sprintf("has %d characters, want 1 to %d", n, MaxKey))
			}
			return key.String(), nil
		case c == '"':
			return "", badKey(fmt.Sprintf("goes on after the quotation mark at character %d", i+2))
		case c == '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", badKey(fmt.Sprintf("has a backslash at character %d that is not before a quotation mark or a backslash", i+1))
			}
		case c < 0x20 || c > 0x7e:
			return "", badKey(fmt.Sprintf("has a character that is not printable ASCII at %d", i+2))
		}
		key.WriteByte(text[i])
	}
	return "", badKey("does not end with a quotation mark")
}

func badKey(why string) error {
	return fault.New(fault.Invalid, `Idempotency-Key %s: want a text in quotation marks, such as "8e03978e-40d5-43dd-bc93-6894a57f9324"`, why)
}
