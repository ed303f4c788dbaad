package catalogue_test

import (
	"crypto/hmac"
	"crypto/sha256"
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
