package catalogue_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func responder(t *testing.T, preset string, params scheme.Params) *scheme.Responder {
	t.Helper()
	d, err := catalogue.Definition(preset)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Responder(params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var handshakeRing = keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("handshake-secret-0123456789")})

func macOf(text string) []byte {
	h := hmac.New(sha256.New, []byte("handshake-secret-0123456789"))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// zoomChallenge returns a signed challenge with this token.
func zoomChallenge(t *testing.T, token string) sealwright.Message {
	t.Helper()
	s := sealwright.Signer{Scheme: catalogue.Must("zoom"), Ring: handshakeRing}
	m, err := s.Sign(sealwright.Message{Method: "POST", Host: "h", Target: "/",
		Body: []byte(`{"event":"endpoint.url_validation","payload":{"plainToken":"` + token + `"}}`)}, benchNow)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestChallenges(t *testing.T) {
	zoom, err := responder(t, "zoom", nil).Respond(zoomChallenge(t, "qgg8vlvZRS6UYooatFL8Aw"), handshakeRing, false, benchNow)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"` + hex.EncodeToString(macOf("qgg8vlvZRS6UYooatFL8Aw")) + `"}`
	if zoom.Body != want || zoom.Type != "application/json" {
		t.Errorf("zoom answers %+v, want %s", zoom, want)
	}
	meta := responder(t, "meta", scheme.Params{"verify_token": {"our-token"}})
	get := sealwright.Message{Method: "GET", Host: "h", Target: "/?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=our-token"}
	if a, err := meta.Respond(get, nil, false, benchNow); err != nil || a.Body != "1158201444" {
		t.Errorf("meta answers %+v, %v", a, err)
	}
	get.Target = strings.Replace(get.Target, "our-token", "other", 1)
	if _, err := meta.Respond(get, nil, false, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("meta with another verify token: %v, want %v", err, sealwright.ErrPolicy)
	}
	ordinary := sealwright.Message{Method: "POST", Host: "h", Target: "/", Body: []byte(`{}`)}
	if _, err := meta.Respond(ordinary, nil, false, benchNow); !errors.Is(err, scheme.ErrNoChallenge) {
		t.Errorf("an ordinary message: %v, want %v", err, scheme.ErrNoChallenge)
	}
	d, err := catalogue.Definition("meta")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Responder(nil); err == nil {
		t.Error("meta without a configured token has a responder that echoes for everybody")
	}
}

// TestEchoes holds the handshakes of GET requests and headers.
func TestEchoes(t *testing.T) {
	for _, tt := range []struct {
		preset, target string
		header         map[string][]string
		want           string
		wantHeader     map[string]string
	}{
		{preset: "x", target: "/?crc_token=abc123&nonce=x", want: `{"response_token":"sha256=` + base64.StdEncoding.EncodeToString(macOf("abc123")) + `"}`},
		{preset: "dropbox", target: "/?challenge=abc-123", want: "abc-123", wantHeader: map[string]string{"X-Content-Type-Options": "nosniff"}},
		{preset: "smartsheet", target: "/", header: map[string][]string{"Smartsheet-Hook-Challenge": {"abc"}},
			want: `{"smartsheetHookResponse":"abc"}`, wantHeader: map[string]string{"Smartsheet-Hook-Response": "abc"}},
	} {
		m := sealwright.Message{Method: "GET", Host: "h", Target: tt.target, Header: tt.header}
		a, err := responder(t, tt.preset, nil).Respond(m, handshakeRing, false, benchNow)
		if err != nil || a.Body != tt.want {
			t.Errorf("%s answers %+v, %v; want %s", tt.preset, a, err, tt.want)
		}
		for name, want := range tt.wantHeader {
			if a.Headers[name] != want {
				t.Errorf("%s: header %s is %q, want %q", tt.preset, name, a.Headers[name], want)
			}
		}
	}
	s := sealwright.Signer{Scheme: catalogue.Must("twitch"), Ring: handshakeRing}
	m, err := s.Sign(sealwright.Message{Method: "POST", Host: "h", Target: "/", Body: []byte(`{"challenge":"pogchamp-kappa"}`)}, benchNow)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := responder(t, "twitch", nil).Respond(m, handshakeRing, false, benchNow); err != nil || a.Body != "pogchamp-kappa" {
		t.Errorf("twitch answers %+v, %v", a, err)
	}
}

// TestA32_WebhookByChallenge asks for the tag of a forged event and sends the
// event with it.
func TestA32_WebhookByChallenge(t *testing.T) {
	const event = `{"for_user_id":"1","tweet_create_events":[]}`
	m := sealwright.Message{Method: "GET", Host: "h", Target: "/?crc_token=" + strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D", "[", "%5B", "]", "%5D").Replace(event)}
	if a, err := responder(t, "x", nil).Respond(m, handshakeRing, false, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("the responder signs an event: %+v, %v", a, err)
	}
}

// TestA33_KeyTakeOver: a key is learned only while the endpoint is armed, and
// once.
func TestA33_KeyTakeOver(t *testing.T) {
	const offered = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
	r := responder(t, "asana", nil)
	m := sealwright.Message{Method: "POST", Host: "h", Target: "/", Header: map[string][]string{"X-Hook-Secret": {offered}}}
	a, err := r.Respond(m, nil, true, benchNow)
	if err != nil || string(a.Learned.Expose()) != offered || a.Headers["X-Hook-Secret"] != offered {
		t.Errorf("armed: %+v, %v", a, err)
	}
	if _, err := r.Respond(m, nil, false, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("not armed: %v, want %v", err, sealwright.ErrPolicy)
	}
	if _, err := r.Respond(m, handshakeRing, true, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("a second handshake: %v, want %v", err, sealwright.ErrPolicy)
	}
	m.Header["X-Hook-Secret"] = []string{"short"}
	if _, err := r.Respond(m, nil, true, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("a secret of 5 bytes: %v, want %v", err, sealwright.ErrPolicy)
	}
}

// TestA32_ChallengeResponder: no answer is the tag of a message that the scheme
// would verify.
func TestA32_ChallengeResponder(t *testing.T) {
	r := responder(t, "zoom", nil)
	for _, token := range []string{"v0:1767225600:{}", `{\"a\":1}`, "", strings.Repeat("a", 65), "a b", "a:b", "ä", `\u0000`, "a\\nb"} {
		if a, err := r.Respond(zoomChallenge(t, token), handshakeRing, false, benchNow); err == nil {
			t.Errorf("token %q is answered: %+v", token, a)
		}
	}
	unsigned := zoomChallenge(t, "abc")
	unsigned.Header["X-Zm-Signature"] = []string{"v0=" + strings.Repeat("0", 64)}
	if _, err := r.Respond(unsigned, handshakeRing, false, benchNow); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("an unsigned challenge: %v, want %v", err, sealwright.ErrMismatch)
	}
}
