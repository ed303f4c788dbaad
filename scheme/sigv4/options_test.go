package sigv4_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sigv4"
)

// options are good ones, which the cases below spoil.
func options() map[string]any {
	return map[string]any{
		"form": "either", "algorithm": "ACME1-HMAC-SHA256", "hash": "sha256", "scope": "{yyyymmdd}/{region}/acme_request",
		"header": "Authorization", "query": "X-Acme-", "date": "X-Acme-Date", "date_format": "iso-basic", "window": "900",
		"path": "raw", "query_values": "raw", "header_values": "trim", "sign": []string{"host"}, "payload": map[string]any{},
	}
}

func build(t *testing.T, o map[string]any, p scheme.Params) (sealwright.Scheme, error) {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return sigv4.New(&scheme.Definition{ID: "acme", Options: data}, p)
}

func TestOptions(t *testing.T) {
	good := scheme.Params{"region": {"eu"}, "expires": {"900"}}
	if _, err := build(t, options(), good); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		member string
		value  any
		want   string // in the error
	}{
		{"UnknownMember", "windows", "1s", "windows"},
		{"WrongType", "window", 900, "window"},
		{"Form", "form", "both", "form"},
		{"NoForm", "form", nil, "form"},
		{"Hash", "hash", "sha1", "hash"},
		{"NoHash", "hash", nil, "hash"},
		{"NoAlgorithm", "algorithm", nil, "algorithm"},
		{"BlankInAlgorithm", "algorithm", "A B", "algorithm"},
		{"LineFeedInAlgorithm", "algorithm", "A\nB", "algorithm"},
		{"NoHeader", "header", nil, "header"},
		{"NoQuery", "query", nil, "query"},
		{"NoDate", "date", nil, "date"},
		{"DateFormat", "date_format", "rfc3339", "date_format"},
		{"NoWindow", "window", nil, "window"},
		{"WindowWithUnit", "window", "900s", "window"},
		{"NegativeWindow", "window", "-1", "window"},
		{"LongWindow", "window", "604801", "window"},
		{"ScopeWithoutDate", "scope", "{region}/acme_request", "scope"},
		{"ScopeWithDateLater", "scope", "{yyyymmdd}/{yyyymmdd}", "scope"},
		{"EmptyPartInScope", "scope", "{yyyymmdd}//acme", "scope"},
		{"CommaInScope", "scope", "{yyyymmdd}/a,b", "scope"},
		{"Path", "path", "normal_encoded", "path"},
		{"NoPath", "path", nil, "path"},
		{"QueryValues", "query_values", "sorted", "query_values"},
		{"HeaderValues", "header_values", "", "header_values"},
		{"Method", "method", "lower", "method"},
		{"PayloadURL", "payload", map[string]any{"url": "unsigned"}, "payload"},
		{"UntimedAndNotRequired", "untimed", true, "X-Acme-Date"},
		{"NonceNotRequired", "nonce", "X-Nonce", "X-Nonce"},
		{"ParameterWithoutValue", "key_prefix", "${prefix}", "prefix"},
		{"OpenParameter", "key_prefix", "${prefix", "not closed"},
		{"TooManyRequired", "require", strings.Split(strings.Repeat("a,", 40), ","), "require"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			if o[tt.member] = tt.value; tt.value == nil {
				delete(o, tt.member)
			}
			_, err := build(t, o, good)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that names %s", err, tt.want)
			}
		})
	}
	for name, p := range map[string]scheme.Params{
		"SlashInRegion": {"region": {"eu/x"}, "expires": {"900"}}, "LineFeedInRegion": {"region": {"a\nb"}, "expires": {"900"}},
		"NoExpires": {"region": {"eu"}},
	} {
		if _, err := build(t, options(), p); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := sigv4.New(&scheme.Definition{ID: "acme"}, nil); err == nil {
		t.Error("no options: got no error")
	}
}

func TestEscherNeedsScope(t *testing.T) {
	if _, err := definition(t, "escher").New(nil); err == nil || !strings.Contains(err.Error(), "credential_scope") {
		t.Errorf("got %v, want an error that names credential_scope", err)
	}
	for _, skew := range []string{"abc", "-1", "10m", "1e3x"} {
		if _, err := definition(t, "escher").New(scheme.Params{"credential_scope": {"a"}, "clock_skew": {skew}}); err == nil {
			t.Errorf("clock_skew %s: got no error", skew)
		}
	}
}
