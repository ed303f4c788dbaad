// Package transit wraps data keys and computes MACs with the transit engine of
// OpenBao or HashiCorp Vault.
//
// Keys have versions, and a reference here is always the name of a key, a
// slash and a version, as "root/2": the engine rotates keys under one name. New
// data keys are wrapped under the newest version, so wrapping them again after
// a rotation moves them there. Data keys need an AES-GCM or ChaCha20-Poly1305
// key that is neither derived nor convergent; additional data is associated_data.
//
// The engine makes a missing key when it is asked to encrypt, if the policy of
// the token has the capability create: give it update only.
package transit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// Name is the provider in key IDs, which are "transit:" and mount, name and
// version with slashes between them.
const Name = "transit"

const (
	defaultMount   = "transit"
	defaultTimeout = 10 * time.Second
	retries        = 2
)

var (
	_ kms.Wrapper = (*Client)(nil)
	_ kms.MAC     = (*Client)(nil)
)

// keyName is what the engine takes as a name; mountPath is a path of such.
var (
	keyName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	mountPath = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
)

// Config says which server and which key. Address and Token must be set.
type Config struct {
	Address   string // URL of the server
	Namespace string // empty for none
	Mount     string // of the engine; empty means "transit"
	Key       string // name of the key that wraps, without a version; empty if none is to
	CAFile    string // certificates in PEM to trust; empty means those of the system

	// Token returns the token to send. It is called for each request, so that
	// an agent that renews tokens can write them to a file.
	Token func() (secret.Bytes, error)

	Timeout time.Duration // of one call with its repetitions; 0 means 10 s
}

// Client is a client of one transit engine. Get one from [Open]. It may be
// used by many goroutines.
type Client struct {
	api     *api.Client
	config  Config
	timeout time.Duration
}

// Open returns a client. It asks the server nothing; [kms.Probe] does.
func Open(c Config) (*Client, error) {
	c.Mount = cmp.Or(c.Mount, defaultMount)
	switch {
	case c.Address == "" || c.Token == nil:
		return nil, fault.New(fault.Unavailable, "transit needs address and token")
	case c.Key != "" && !keyName.MatchString(c.Key):
		return nil, fault.New(fault.Unavailable, "transit: got the key %q, want the name of one", c.Key)
	case !mountPath.MatchString(c.Mount):
		return nil, fault.New(fault.Unavailable, "transit: got the mount %q, want a path without slashes around it", c.Mount)
	}
	settings := api.NewConfig()
	settings.DisableEnvironment = true
	settings.Address, settings.MaxRetries = c.Address, retries
	if err := settings.ConfigureTLS(&api.TLSConfig{CACert: c.CAFile}); err != nil {
		return nil, fault.New(fault.Unavailable, "transit: certificates to trust cannot be read from %s", c.CAFile).Because(err)
	}
	client, err := api.NewClient(settings)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "transit: %s is no address of a server", c.Address).Because(err)
	}
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return &Client{api: client, config: c, timeout: cmp.Or(c.Timeout, defaultTimeout)}, nil
}

// write sends data to an operation of the engine and returns the answer.
func (c *Client) write(ctx context.Context, path string, data map[string]any) (map[string]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	token, err := c.config.Token()
	if err != nil {
		return nil, err
	}
	c.api.SetToken(string(token.Expose()))
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.api.Logical().WriteWithContext(ctx, c.config.Mount+"/"+path, data)
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, errors.New("got no answer")
	}
	return answer.Data, nil
}

// Wrap encrypts plain under the newest version of the key of the
// configuration. See [kms.Wrapper].
func (c *Client) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, "", err
	}
	if c.config.Key == "" {
		return nil, "", fault.New(fault.Unavailable, "transit has no key to wrap with")
	}
	data, err := c.write(ctx, "encrypt/"+c.config.Key, map[string]any{"plaintext": encode(plain.Expose()), "associated_data": encode(aad)})
	if err != nil {
		return nil, "", unavailable("encrypt", c.config.Key, err)
	}
	text, _ := data["ciphertext"].(string)
	version, ok := versionOf(text)
	if !ok {
		return nil, "", fault.New(fault.Unavailable, "transit: the answer for key %s is not a ciphertext", c.config.Key)
	}
	return []byte(text), Name + ":" + c.config.Mount + "/" + c.config.Key + "/" + version, nil
}

// Unwrap decrypts blob under the version of a key that keyID names. See
// [kms.Wrapper].
func (c *Client) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	reference, ok := strings.CutPrefix(keyID, Name+":"+c.config.Mount+"/")
	name, version, valid := parse(reference)
	if !ok || !valid {
		return secret.Bytes{}, fault.New(fault.Unavailable, "data key is wrapped with %q, want a key of transit in %s", keyID, c.config.Mount)
	}
	if got, ok := versionOf(string(blob)); !ok || got != version {
		return secret.Bytes{}, belongsElsewhere(keyID, nil)
	}
	data, err := c.write(ctx, "decrypt/"+name, map[string]any{"ciphertext": string(blob), "associated_data": encode(aad)})
	if err != nil {
		if aboutBlob(err) {
			return secret.Bytes{}, belongsElsewhere(keyID, err)
		}
		return secret.Bytes{}, unavailable("decrypt", reference, err)
	}
	text, _ := data["plaintext"].(string)
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(plain) == 0 {
		return secret.Bytes{}, fault.New(fault.Unavailable, "transit: the answer for key %s is not a plaintext", reference)
	}
	defer clear(plain)
	return secret.New(plain), nil
}

// MAC computes a tag with one version of a key, such as "mac/1". See
// [kms.MAC].
func (c *Client) MAC(ctx context.Context, key string, d kms.Digest) (tag []byte, err error) {
	name, version, ok := parse(key)
	if !ok {
		return nil, noVersion(key)
	}
	number, err := strconv.Atoi(version)
	if err != nil {
		return nil, noVersion(key)
	}
	input, err := d.Text()
	if err != nil {
		return nil, err
	}
	data, err := c.write(ctx, "hmac/"+name+"/sha2-256", map[string]any{"input": encode(input), "key_version": number})
	if err != nil {
		return nil, unavailable("sign", key, err)
	}
	text, _ := data["hmac"].(string)
	encoded, ok := strings.CutPrefix(text, prefix(version))
	if tag, err = base64.StdEncoding.DecodeString(encoded); err != nil || !ok || len(tag) != sha256.Size {
		return nil, fault.New(fault.Unavailable, "transit: the answer for key %s is not a tag of this version", key)
	}
	return tag, nil
}

// Verify has the engine compare tag with that of MAC. A tag that has not 32
// bytes is not sent. See [kms.MAC].
func (c *Client) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	name, version, ok := parse(key)
	if !ok {
		return false, noVersion(key)
	}
	input, err := d.Text()
	if err != nil || len(tag) != sha256.Size {
		return false, err
	}
	data, err := c.write(ctx, "verify/"+name+"/sha2-256", map[string]any{"input": encode(input), "hmac": prefix(version) + encode(tag)})
	if err != nil {
		return false, unavailable("verify", key, err)
	}
	valid, ok := data["valid"].(bool)
	if !ok {
		return false, fault.New(fault.Unavailable, "transit: the answer for key %s does not say whether the tag is valid", key)
	}
	return valid, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// prefix is in front of ciphertexts and tags of a version, also with OpenBao.
func prefix(version string) string { return "vault:v" + version + ":" }

// versionOf returns the version in a ciphertext.
func versionOf(ciphertext string) (version string, ok bool) {
	rest, ok := strings.CutPrefix(ciphertext, "vault:v")
	version, _, found := strings.Cut(rest, ":")
	return version, ok && found && isVersion(version)
}

// parse splits a reference into name and version.
func parse(reference string) (name, version string, ok bool) {
	name, version, ok = strings.Cut(reference, "/")
	return name, version, ok && keyName.MatchString(name) && isVersion(version)
}

// isVersion reports whether text is a number from 1, written in one way.
func isVersion(text string) bool {
	n, err := strconv.ParseUint(text, 10, 31)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == text
}

// aboutBlob reports whether the engine says that the ciphertext is wrong, which
// it does with the same status as that a key is missing or a version retired.
func aboutBlob(err error) bool {
	var answer *api.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusBadRequest {
		return false
	}
	text := strings.Join(answer.Errors, "\n")
	return strings.Contains(text, "invalid ciphertext") || strings.Contains(text, "message authentication failed")
}

func belongsElsewhere(keyID string, err error) error {
	return fault.New(fault.Internal, "unwrap with %s: the blob was changed or belongs elsewhere", keyID).Because(err)
}

func noVersion(key string) error {
	return fault.New(fault.Unavailable, "transit: got the key %q, want a name, a slash and a version", key)
}

func unavailable(what, key string, err error) error {
	return fault.New(fault.Unavailable, "transit does not %s with key %s", what, key).Because(err)
}
