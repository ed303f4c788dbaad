package rfc9421_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// first returns the first component of a description such as ("a";sf "b");x=1.
func first(description string) string {
	return strings.TrimLeft(description[:strings.IndexAny(description, " )")], "(")
}

// forged returns a message with exactly this description of label sig1 and a
// right tag for it: what a holder of the key could send who does not keep to
// the profile. A description that no profile can read gets a wrong tag.
func forged(tb testing.TB, m sealwright.Message, description string) sealwright.Message {
	tb.Helper()
	m.Header = clone(m.Header)
	m.Header["Signature-Input"], m.Header["Signature"] = []string{"sig1=" + description}, []string{"sig1=" + anyTag}
	key, err := ring.Signing(now)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := definition(tb).New(scheme.Params{"required": {first(description)}, "require_created": {"false"}})
	if err != nil {
		return m
	}
	signed, c, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		return m
	}
	k, err := s.Key(key, c)
	if err != nil {
		tb.Fatal(err)
	}
	tag, err := k.Sum(nil, signed[0])
	if err != nil {
		tb.Fatal(err)
	}
	m.Header["Signature"] = []string{"sig1=:" + base64.StdEncoding.EncodeToString(tag) + ":"}
	return m
}

// digested returns a POST with the digest of its body.
func digested() sealwright.Message {
	m := request(64)
	m.Header["Content-Digest"] = []string{emptyDigest}
	m.Body = nil
	return m
}

const (
	allList = `("@method" "@target-uri" "content-digest")`
	created = `;created=1767225600`
)

// TestPolicy verifies messages whose tag is right against profiles.
func TestPolicy(t *testing.T) {
	tests := []struct {
		name        string
		params      []string
		description string
		want        error
	}{
		{"Default", nil, allList + created, nil},
		{"OtherOrderAndMore", nil, `("content-type" "content-digest" "@target-uri" "@method" "@path")` + created, nil},
		{"OtherRendering", nil, `("@method" "@target-uri" "content-digest";bs)` + created, nil},
		{"StrictRendering", nil, `("@method" "@target-uri" "content-digest";sf)` + created, nil},
		{"OneMemberIsNotTheField", nil, `("@method" "@target-uri" "content-digest";key="sha-256")` + created, sealwright.ErrPolicy},
		{"PathIsNotTheTarget", nil, `("@method" "@path" "@query" "content-digest")` + created, sealwright.ErrPolicy},
		{"NoCreated", nil, allList, sealwright.ErrPolicy},
		{"NoCreatedAllowed", []string{"require_created", "false"}, allList, nil},
		{"NoExpires", []string{"require_expires", "true"}, allList + created, sealwright.ErrPolicy},
		{"Expires", []string{"require_expires", "true"}, allList + created + ";expires=1767225600", nil},
		{"Expired", nil, allList + created + ";expires=1767225599", sealwright.ErrStale},
		{"NoNonce", []string{"require_nonce", "true"}, allList + created, sealwright.ErrPolicy},
		{"Nonce", []string{"require_nonce", "true"}, allList + created + `;nonce="n"`, nil},
		{"NonceEmpty", nil, allList + created + `;nonce=""`, sealwright.ErrMalformed},
		{"NonceNotAString", nil, allList + created + `;nonce=1`, sealwright.ErrMalformed},
		{"NoKeyID", []string{"require_keyid", "true"}, allList + created, sealwright.ErrPolicy},
		{"KeyID", []string{"require_keyid", "true"}, allList + created + `;keyid="k1"`, nil},
		{"KeyIDEmpty", nil, allList + created + `;keyid=""`, sealwright.ErrMalformed},
		{"KeyIDUnknown", nil, allList + created + `;keyid="k2"`, sealwright.ErrUnknownKey},
		{"Tag", []string{"tag", "app"}, allList + created + `;tag="app"`, nil},
		{"TagMissing", []string{"tag", "app"}, allList + created, sealwright.ErrPolicy},
		{"TagOther", []string{"tag", "app"}, allList + created + `;tag="App"`, sealwright.ErrPolicy},
		{"TagToken", []string{"tag", "app"}, allList + created + `;tag=app`, sealwright.ErrMalformed},
		{"TagNotAsked", nil, allList + created + `;tag="any"`, nil},
		{"UnknownParameter", nil, allList + created + `;x="y";z`, nil},
		{"Label", []string{"label", "sig1"}, allList + created, nil},
		{"LabelOther", []string{"label", "sig2"}, allList + created, sealwright.ErrMissing},
		{"OldestAllowed", nil, allList + ";created=1767225300", nil},
		{"TooOld", nil, allList + ";created=1767225299", sealwright.ErrStale},
		{"NewestAllowed", nil, allList + ";created=1767225900", nil},
		{"TooNew", nil, allList + ";created=1767225901", sealwright.ErrFuture},
		{"MaxAge", []string{"max_age", "10"}, allList + ";created=1767225590", nil},
		{"MaxAgeOver", []string{"max_age", "10"}, allList + ";created=1767225589", sealwright.ErrStale},
		{"MaxAgeIsNotSkew", []string{"max_age", "10"}, allList + ";created=1767225900", nil},
		{"NoSkew", []string{"skew", "0"}, allList + ";created=1767225601", sealwright.ErrFuture},
		{"NoSkewNow", []string{"skew", "0"}, allList + ";created=1767225600", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verdict, err := verify(with(t, tt.params...), forged(t, digested(), tt.description), now)
			if !errors.Is(err, tt.want) || verdict.Valid != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestCovers looks at what the verdict says of the coverage.
func TestCovers(t *testing.T) {
	tests := []struct {
		name, description string
		want              sealwright.Coverage
	}{
		{"Default", allList + created, sealwright.Coverage{Method: true, Path: true, Query: true, Host: true, Body: true, Time: true, Headers: []string{"content-digest"}}},
		{"MethodAlone", `("@method")`, sealwright.Coverage{Method: true}},
		{"Path", `("@path")`, sealwright.Coverage{Path: true}},
		{"Target", `("@method" "@request-target" "@scheme")`, sealwright.Coverage{Method: true, Path: true, Query: true}},
		{"QueryAndAuthority", `("@method" "@query" "@authority")`, sealwright.Coverage{Method: true, Query: true, Host: true}},
		{"Host", `("@method" "host")`, sealwright.Coverage{Method: true, Host: true, Headers: []string{"host"}}},
		{"QueryParam", `("@method" "@query-param";name="x")`, sealwright.Coverage{Method: true, Fields: []string{"x"}}},
		{"DigestMember", `("content-digest";key="sha-256" "@method")`, sealwright.Coverage{Method: true, Body: true, Fields: []string{`"content-digest";key="sha-256"`}}},
		{"Expires", `("@method");expires=1767225600;keyid="k1"`, sealwright.Coverage{Method: true, Time: true, KeyID: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := with(t, "required", first(tt.description), "require_created", "false")
			verdict, err := verify(s, forged(t, digested(), tt.description), now)
			if err != nil {
				t.Fatal(err)
			}
			got := verdict.Covers
			if got.Missing(tt.want) != nil || tt.want.Missing(got) != nil {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNew(t *testing.T) {
	tests := []struct {
		name   string
		params scheme.Params
		want   string // part of the error
	}{
		{"Unknown", scheme.Params{"lable": {"a"}}, `no parameter "lable"`},
		{"LabelUpper", scheme.Params{"label": {"Sig"}}, `parameter label: "Sig"`},
		{"LabelWithBlank", scheme.Params{"label": {"a b"}}, "parameter label"},
		{"TagNotASCII", scheme.Params{"tag": {"\u00e4"}}, "parameter tag"},
		{"KeyEncoding", scheme.Params{"key_encoding": {"hex"}}, "want one of utf8, base64"},
		{"RequireMaybe", scheme.Params{"require_nonce": {"yes"}}, "want one of true, false"},
		{"NothingRequired", scheme.Params{"required": {}}, "want at least one component"},
		{"RequiredEmptyText", scheme.Params{"required": {""}}, "no such component"},
		{"RequiredTwice", scheme.Params{"required": {"@method", `"@method"`}}, "stands twice"},
		{"RequiredTwiceInOtherOrder", scheme.Params{"required": {"@query-param;name=\"a\";req", "@query-param;req;name=\"a\""}}, "stands twice"},
		{"RequiredInOneText", scheme.Params{"required": {"@method @path"}}, "no such component"},
		{"ComponentsLackRequired", scheme.Params{"components": {"@method"}}, `"@target-uri" is required`},
		{"ComponentsCoverOwnSignature", scheme.Params{"required": {"signature"}}, "cannot cover itself"},
		{"ComponentsCoverOwnInput", scheme.Params{"required": {"signature-input"}}, "cannot cover itself"},
		{"ComponentsCoverOwnLabel", scheme.Params{"label": {"a"}, "required": {`signature;key="a"`}}, "cannot cover itself"},
		{"ComponentsCoverDefaultLabel", scheme.Params{"required": {`signature;key="sig1"`}}, "cannot cover itself"},
		{"TooManyComponents", scheme.Params{"required": fields(65, "x-%d ")}, "at most 64"},
		{"TooManyCostly", scheme.Params{"required": fields(17, "x-%d;sf ")}, "at most 64 and 16"},
		{"MaxAgeText", scheme.Params{"max_age": {"5m"}}, `parameter max_age: got "5m"`},
		{"MaxAgeNegative", scheme.Params{"max_age": {"-1"}}, "parameter max_age"},
		{"MaxAgeTooLong", scheme.Params{"max_age": {"2678401"}}, "want 0 to 2678400 seconds"},
		{"SkewHuge", scheme.Params{"skew": {"99999999999999999999"}}, "parameter skew"},
	}
	d := definition(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := d.New(tt.params); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	for name, params := range map[string]scheme.Params{
		"OtherSignature":   {"required": {`signature;key="a"`, `signature-input;key="a"`}},
		"RequestSignature": {"required": {`signature;req`}},
		"Limits":           {"max_age": {"2678400"}, "skew": {"0"}, "required": fields(64, "x-%d ")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.New(params); err != nil {
				t.Error(err)
			}
		})
	}
}

func fields(n int, format string) []string { return strings.Fields(many(n, format)) }

func TestWarnings(t *testing.T) {
	tests := []struct {
		name   string
		params []string
		want   []string // a word of each warning
	}{
		{"Default", nil, nil},
		{"MethodOnly", []string{"required", "@method"}, []string{"body", "path and query", "host"}},
		{"FieldOnly", []string{"required", "date", "require_created", "false"}, []string{"body", "method", "path and query", "host", "created"}},
		{"PathAndQuery", []string{"required", "@path", "required", "@query", "required", "content-digest", "required", "@method", "required", "@authority"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := with(t, tt.params...).(sealwright.Warner).Warnings()
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, w := range tt.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("got %q, want %q in it", got[i], w)
				}
			}
		})
	}
}

// TestKey reads the secret in both forms; a text that is not base64 is never
// taken as it is.
func TestKey(t *testing.T) {
	tests := []struct {
		name, secret, encoding string
		want                   error
	}{
		{"Text", "c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "utf8", nil},
		{"Base64", "c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "base64", nil},
		{"NotBase64", "secret-secret-secret", "base64", sealwright.ErrConfig},
		{"Base64URL", "_-__", "base64", sealwright.ErrConfig},
		{"Base64WithLineFeed", "c2VjcmV0\n", "base64", sealwright.ErrConfig},
	}
	var tags []string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			own := keyring.Must(keyring.Key{ID: "k", Version: 1, Secret: secret.FromString(tt.secret)})
			s := with(t, "key_encoding", tt.encoding)
			signer := sealwright.Signer{Scheme: s, Ring: own}
			m, err := signer.Sign(request(64), now)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil {
				if strings.Contains(err.Error(), strings.TrimSpace(tt.secret)) {
					t.Errorf("error holds the secret: %v", err)
				}
				return
			}
			if slices.Contains(tags, header(m, "Signature")) {
				t.Error("both forms give the same tag")
			}
			tags = append(tags, header(m, "Signature"))
			v := sealwright.Verifier{Scheme: s, Ring: own}
			if _, err := v.Verify(m, now.Add(time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
}
