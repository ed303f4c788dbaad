package rfc9421_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

func verify(s sealwright.Scheme, m sealwright.Message, at time.Time) (sealwright.Verdict, error) {
	v := sealwright.Verifier{Scheme: s, Ring: ring}
	return v.Verify(m, at)
}

func header(m sealwright.Message, name string) string { return strings.Join(m.Header[name], "|") }

const emptyDigest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

// TestSign signs and verifies, and looks at what the signer wrote.
func TestSign(t *testing.T) {
	get := sealwright.Message{Method: "GET", Host: "api.example.com", Target: "/orders"}
	covering := func(input string) sealwright.Message {
		m := get
		m.Header = map[string][]string{"Signature-Input": {input}, "Content-Digest": {emptyDigest}}
		return m
	}
	const list = `("@method" "@target-uri" "content-digest")`
	tests := []struct {
		name   string
		params []string
		m      sealwright.Message
		input  string
		digest string
	}{{
		name: "Default", m: get,
		input: `sig1=` + list + `;created=1767225600;keyid="k1"`, digest: emptyDigest,
	}, {
		name: "Everything", m: get,
		params: []string{"require_nonce", "true", "require_expires", "true", "require_keyid", "true", "tag", "app", "label", "own", "max_age", "60"},
		input:  `own=` + list + `;created=1767225600;expires=1767225660;nonce="b3k2pp5k7z50gnwpyemd";keyid="k1";tag="app"`, digest: emptyDigest,
	}, {
		name: "MoreComponentsThanRequired", m: get,
		params: []string{"required", "@method", "components", "@method", "components", "content-digest;key=\"sha-512\"", "components", "@authority"},
		input:  `sig1=("@method" "content-digest";key="sha-512" "@authority");created=1767225600;keyid="k1"`,
		digest: "sha-512=:z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==:",
	}, {
		name: "NothingOfTheBody", m: get, params: []string{"required", "@method"},
		input: `sig1=("@method");created=1767225600;keyid="k1"`,
	}, {
		name: "AgainKeepsEverything", m: covering(`mine=("content-digest" "@method"  "@target-uri" "@path");created=1767225500;x=1;nonce="n";expires=1767225600`),
		input: `mine=("content-digest" "@method" "@target-uri" "@path");created=1767225500;x=1;nonce="n";expires=1767225600`, digest: emptyDigest,
	}, {
		name: "AgainWhenStale", m: covering(`sig1=` + list + `;nonce="n";created=1767225299;expires=1767225900;keyid="old"`),
		input: `sig1=` + list + `;nonce="n";created=1767225600;keyid="k1"`, digest: emptyDigest,
	}, {
		name: "AgainAtTheEdge", m: covering(`sig1=` + list + `;created=1767225300`),
		input: `sig1=` + list + `;created=1767225300`, digest: emptyDigest,
	}, {
		name: "AgainWhenAhead", m: covering(`sig1=` + list + `;created=1767225901`),
		input: `sig1=` + list + `;created=1767225600`, digest: emptyDigest,
	}, {
		name: "AgainWhenExpired", m: covering(`sig1=` + list + `;created=1767225590;expires=1767225599`),
		input: `sig1=` + list + `;created=1767225600`, digest: emptyDigest,
	}, {
		name: "AgainWithOtherAlgorithmAndTag", params: []string{"tag", "new"}, m: covering(`sig1=` + list + `;alg="ed25519";created=1767225600;tag="old"`),
		input: `sig1=` + list + `;alg="hmac-sha256";created=1767225600;tag="new"`, digest: emptyDigest,
	}, {
		name: "AgainWithTooFewComponents", m: covering(`sig1=("@method");created=1767225600`),
		input: `sig1=` + list + `;created=1767225600`, digest: emptyDigest,
	}, {
		name: "AgainWithUnknownComponents", m: covering(`sig1=("@unknown");created=1767225600`),
		input: `sig1=` + list + `;created=1767225600`, digest: emptyDigest,
	}, {
		name: "AgainWithoutTime", params: []string{"require_created", "false"}, m: covering(`sig1=` + list),
		input: `sig1=` + list, digest: emptyDigest,
	}, {
		name: "AgainGetsWhatIsRequired", params: []string{"require_nonce", "true", "require_keyid", "true", "require_expires", "true"}, m: covering(`sig1=` + list + `;created=1767225590`),
		input: `sig1=` + list + `;created=1767225590;expires=1767225890;nonce="b3k2pp5k7z50gnwpyemd";keyid="k1"`, digest: emptyDigest,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := with(t, tt.params...)
			m := sign(t, s, tt.m)
			if got := header(m, "Signature-Input"); got != tt.input {
				t.Errorf("Signature-Input is\n%s\nwant\n%s", got, tt.input)
			}
			if got := header(m, "Content-Digest"); got != tt.digest {
				t.Errorf("Content-Digest is %q, want %q", got, tt.digest)
			}
			if verdict, err := verify(s, m, now); err != nil {
				t.Errorf("verify: %v", err)
			} else if verdict.KeyID != "k1" || verdict.Version != 1 {
				t.Errorf("key %q version %d, want k1 version 1", verdict.KeyID, verdict.Version)
			}
			again := sign(t, s, m)
			if header(again, "Signature") != header(m, "Signature") {
				t.Errorf("signed again: %s, want %s", header(again, "Signature"), header(m, "Signature"))
			}
		})
	}
}

// TestSignLeavesTheMessage signs a message and looks at the original.
func TestSignLeavesTheMessage(t *testing.T) {
	m := request(64)
	m.Header["Signature-Input"] = []string{`other=("@method");created=1`}
	m.Header["Signature"] = []string{"other=:AAAA:"}
	signed := sign(t, with(t, "label", "sig1"), m)
	if len(m.Header) != 3 || header(m, "Signature") != "other=:AAAA:" {
		t.Errorf("original has %v", m.Header)
	}
	if &m.Body[0] != &signed.Body[0] {
		t.Error("body was copied")
	}
}

// TestSignBesideOthers keeps signatures under other labels.
func TestSignBesideOthers(t *testing.T) {
	s := with(t, "label", "mine")
	m := request(64)
	m.Header["Signature-Input"] = []string{`a=("@method"  "date";bs);created=1;x=?1`, `z=();alg="ed25519"`}
	m.Header["Signature"] = []string{`a=:AAAA:, z=::`}
	m = sign(t, s, m)
	want := `a=("@method" "date";bs);created=1;x, z=();alg="ed25519", mine=("@method" "@target-uri" "content-digest");created=1767225600;keyid="k1"`
	if got := header(m, "Signature-Input"); got != want {
		t.Errorf("Signature-Input is\n%s\nwant\n%s", got, want)
	}
	if got := header(m, "Signature"); !strings.HasPrefix(got, "a=:AAAA:, z=::, mine=:") {
		t.Errorf("Signature is %s", got)
	}
	if _, err := verify(s, m, now); err != nil {
		t.Error(err)
	}
	// Another signature after ours, and then ours again in its place.
	other := with(t, "label", "theirs", "required", "@method", "required", `"signature";key="mine"`, "components", "@method", "components", `"signature";key="mine"`)
	m = sign(t, other, m)
	for _, scheme := range []sealwright.Scheme{s, other} {
		if _, err := verify(scheme, m, now); err != nil {
			t.Error(err)
		}
	}
	if again := sign(t, s, m); header(again, "Signature") != header(m, "Signature") {
		t.Errorf("signed again: %s, want %s", header(again, "Signature"), header(m, "Signature"))
	}
}

// TestSignResponse binds a response to its request.
func TestSignResponse(t *testing.T) {
	s := with(t, "required", "@status", "required", "content-digest", "required", "@method;req", "required", "@target-uri;req", "required", "content-digest;req")
	req := sign(t, with(t), request(64))
	m := sealwright.Message{Status: 201, Header: map[string][]string{}, Body: []byte("created"), Request: &req}
	m = sign(t, s, m)
	verdict, err := verify(s, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if c := verdict.Covers; !c.Body || !c.Method || !c.Path || !c.Query || !c.Host || !c.Time || !c.KeyID {
		t.Errorf("covers %+v, want everything", c)
	}
	for _, tt := range []struct {
		name   string
		change func(m, req *sealwright.Message)
		want   error
	}{
		{"Status", func(m, _ *sealwright.Message) { m.Status = 200 }, sealwright.ErrMismatch},
		{"Body", func(m, _ *sealwright.Message) { m.Body = []byte("Created") }, sealwright.ErrDigest},
		{"RequestMethod", func(_, req *sealwright.Message) { req.Method = "PUT" }, sealwright.ErrMismatch},
		{"RequestTarget", func(_, req *sealwright.Message) { req.Target = "/orders" }, sealwright.ErrMismatch},
		{"RequestBody", func(_, req *sealwright.Message) { req.Body = nil }, sealwright.ErrDigest},
		{"RequestForgotten", func(m, _ *sealwright.Message) { m.Request = nil }, sealwright.ErrMalformed},
		{"SentAsRequest", func(m, _ *sealwright.Message) { m.Status = 0 }, sealwright.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed, changedReq := m, req
			changed.Request = &changedReq
			tt.change(&changed, &changedReq)
			if _, err := verify(s, changed, now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestSignTrailer covers the digest in a trailer.
func TestSignTrailer(t *testing.T) {
	s := with(t, "required", "@method", "required", "content-digest;tr")
	m := request(64)
	m.Trailer = map[string][]string{"Content-Digest": {emptyDigest}}
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	if _, err := signer.Sign(m, now); !errors.Is(err, sealwright.ErrDigest) {
		t.Errorf("wrong digest: got %v, want ErrDigest", err)
	}
	m.Body = nil
	m = sign(t, s, m)
	if verdict, err := verify(s, m, now); err != nil || !verdict.Covers.Body {
		t.Errorf("got %v, body covered %v", err, verdict.Covers.Body)
	}
	m.Body = []byte("x")
	if _, err := verify(s, m, now); !errors.Is(err, sealwright.ErrDigest) {
		t.Errorf("other body: got %v, want ErrDigest", err)
	}
}

func TestSignRefuses(t *testing.T) {
	tests := []struct {
		name   string
		params []string
		change func(*sealwright.Message)
		want   error
		text   string
	}{
		{"BadInput", nil, func(m *sealwright.Message) { m.Header["Signature-Input"] = []string{"sig1=("} }, sealwright.ErrMalformed, "Signature-Input: byte 6"},
		{"InputIsNoList", nil, func(m *sealwright.Message) { m.Header["Signature-Input"] = []string{"sig1=1"} }, sealwright.ErrMalformed, "not a list"},
		{"BadSignature", nil, func(m *sealwright.Message) { m.Header["Signature"] = []string{"sig1=:"} }, sealwright.ErrMalformed, "Signature: byte"},
		{"SeveralLabels", nil, func(m *sealwright.Message) { m.Header["Signature-Input"] = []string{"a=(), b=()"} }, sealwright.ErrPolicy, "2 signatures"},
		{"TooManyLabels", []string{"label", "mine"}, func(m *sealwright.Message) {
			m.Header["Signature-Input"] = []string{strings.TrimSuffix(many(16, "k%d=(), "), ", ")}
		}, sealwright.ErrTooManyTags, "17 signatures"},
		{"DigestOfOtherBody", nil, func(m *sealwright.Message) { m.Header["Content-Digest"] = []string{emptyDigest} }, sealwright.ErrDigest, "sha-256"},
		{"DigestUnknown", nil, func(m *sealwright.Message) { m.Header["Content-Digest"] = []string{"md5=::"} }, sealwright.ErrPolicy, "neither sha-256 nor sha-512"},
		{"FieldAbsent", []string{"required", "date"}, func(*sealwright.Message) {}, sealwright.ErrMalformed, `"date": it is not in the message`},
		{"QueryParamAbsent", []string{"required", `@query-param;name="z"`}, func(*sealwright.Message) {}, sealwright.ErrMalformed, "not in the message"},
		{"ResponseWithoutRequest", []string{"required", "@method;req"}, func(m *sealwright.Message) { m.Status = 200 }, sealwright.ErrMalformed, "request of the response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := request(64)
			tt.change(&m)
			signer := sealwright.Signer{Scheme: with(t, tt.params...), Ring: ring}
			_, err := signer.Sign(m, now)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestSignKeyID refuses key IDs that no structured field can hold, and keys
// without an ID where one is required.
func TestSignKeyID(t *testing.T) {
	tests := []struct {
		name, id string
		params   []string
		want     string // keyid in Signature-Input; "-" for a refusal
	}{
		{"Quoted", `a"b\c`, nil, `;keyid="a\"b\\c"`},
		{"None", "", nil, ""},
		{"NoneButRequired", "", []string{"require_keyid", "true"}, "-"},
		{"NotASCII", "schl\u00fcssel", nil, "-"},
		{"LineBreak", "a\nb", nil, "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			own := keyring.Must(keyring.Key{ID: tt.id, Version: 1, Secret: secret.FromString("rfc9421-example-shared-secret-0001")})
			s := with(t, tt.params...)
			signer := sealwright.Signer{Scheme: s, Ring: own}
			m, err := signer.Sign(request(64), now)
			if tt.want == "-" {
				if !errors.Is(err, sealwright.ErrConfig) {
					t.Errorf("got %v, want ErrConfig", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := header(m, "Signature-Input"); !strings.HasSuffix(got, ";created=1767225600"+tt.want) {
				t.Errorf("got %s, want %s at the end", got, tt.want)
			}
			v := sealwright.Verifier{Scheme: s, Ring: own}
			if verdict, err := v.Verify(m, now); err != nil || verdict.KeyID != tt.id {
				t.Errorf("verify: %v, key ID %q, want %q", err, verdict.KeyID, tt.id)
			}
		})
	}
}
