package client

import (
	"net/http"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/sealhttp"
	"github.com/sealwright/sealwright/secret"
)

// CredentialText returns what is kept of a credential in a file: a token as it
// is, and the ID and the secret of one that signs with a colon between them.
func CredentialText(k api.Credential) string {
	if k.Kind == "signature" {
		return k.ID + ":" + k.Secret
	}
	return k.Secret
}

// signer sends signed requests.
type signer struct{ ring *keyring.Ring }

// newSigner returns nil if the credential is a token.
func newSigner(credential secret.Bytes) (*signer, error) {
	id, key, ok := strings.Cut(string(credential.Expose()), ":")
	if !ok {
		return nil, nil
	}
	ring, err := keyring.New(keyring.Key{ID: id, Version: 1, Secret: secret.FromString(key)})
	if err != nil {
		return nil, err
	}
	return &signer{ring}, nil
}

// RoundTrip implements [http.RoundTripper].
func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	hasBody := r.Body != nil && r.Body != http.NoBody
	scheme, err := catalogue.New("rfc9421", api.SignatureParams(hasBody, api.SignedHeaders(r.Header)...))
	if err != nil {
		return nil, err
	}
	t := sealhttp.Transport{Signer: &sealwright.Signer{Scheme: scheme, Ring: s.ring}}
	return t.RoundTrip(r)
}
