// Package gcpkms wraps data keys and computes MACs with Google Cloud KMS.
//
// Data keys are encrypted under a symmetric key (Encrypt, Decrypt), with the
// additional data as additional authenticated data. A key ID is the resource
// name of the version that encrypted, so that wrapping again after a rotation
// moves data keys to the new version. MACs are MacSign and MacVerify with one
// version of an HMAC_SHA256 key. Everything is sent and received with its
// CRC-32C.
//
// Credentials come from where the client library looks for them (Application
// Default Credentials).
package gcpkms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"time"

	gcp "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// Name is the provider in key IDs, which are "gcpkms:" and the resource name
// of a version of a key.
const Name = "gcpkms"

const defaultTimeout = 10 * time.Second

var (
	_ kms.Wrapper = (*Client)(nil)
	_ kms.MAC     = (*Client)(nil)
)

// keyName and versionName are resource names. A request with another one would
// get the same error as a ciphertext that does not open.
var (
	keyName     = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)
	versionName = regexp.MustCompile(`^(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+)/cryptoKeyVersions/[1-9][0-9]*$`)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Config says which key.
type Config struct {
	Key     string                // that wraps: projects/…/locations/…/keyRings/…/cryptoKeys/…; empty if none is to
	Timeout time.Duration         // of one call with its repetitions; 0 means 10 s
	Options []option.ClientOption // endpoint and credentials, if not those of the environment
}

// Client is a client of Cloud KMS. Get one from [Open]. It may be used by many
// goroutines.
type Client struct {
	api     *gcp.KeyManagementClient
	key     string
	timeout time.Duration
}

// Open returns a client. It asks for no key; [kms.Probe] does.
func Open(ctx context.Context, c Config) (*Client, error) {
	if c.Key != "" && !keyName.MatchString(c.Key) {
		return nil, fault.New(fault.Unavailable, "Google Cloud KMS: got the key %q, want projects/…/locations/…/keyRings/…/cryptoKeys/…", c.Key)
	}
	api, err := gcp.NewKeyManagementClient(ctx, c.Options...)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "Google Cloud KMS: no client, credentials may be missing").Because(err)
	}
	return &Client{api: api, key: c.Key, timeout: cmp.Or(c.Timeout, defaultTimeout)}, nil
}

// Close closes the connections. Calls that are under way fail.
func (c *Client) Close() error {
	if err := c.api.Close(); err != nil {
		return fmt.Errorf("close client of Google Cloud KMS: %w", err)
	}
	return nil
}

// Wrap encrypts plain under the primary version of the key of the
// configuration. See [kms.Wrapper].
func (c *Client) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, "", err
	}
	if c.key == "" {
		return nil, "", fault.New(fault.Unavailable, "Google Cloud KMS has no key to wrap with")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.Encrypt(ctx, &kmspb.EncryptRequest{
		Name: c.key, Plaintext: plain.Expose(), PlaintextCrc32C: checksum(plain.Expose()),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
	})
	if err != nil {
		return nil, "", unavailable(ctx, "encrypt", c.key, err)
	}
	if !out.VerifiedPlaintextCrc32C || !out.VerifiedAdditionalAuthenticatedDataCrc32C || !intact(out.Ciphertext, out.CiphertextCrc32C) {
		return nil, "", damaged(c.key)
	}
	return out.Ciphertext, Name + ":" + out.Name, nil
}

// Unwrap decrypts blob under the key that keyID names. The version is that of
// the blob: the service does not compare it. See [kms.Wrapper].
func (c *Client) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	version, ok := strings.CutPrefix(keyID, Name+":")
	name := versionName.FindStringSubmatch(version)
	if !ok || name == nil {
		return secret.Bytes{}, fault.New(fault.Unavailable, "data key is wrapped with %q, want a key of Google Cloud KMS", keyID)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.Decrypt(ctx, &kmspb.DecryptRequest{
		Name: name[1], Ciphertext: blob, CiphertextCrc32C: checksum(blob),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
	})
	if status.Code(err) == codes.InvalidArgument {
		return secret.Bytes{}, fault.New(fault.Internal, "unwrap with %s: the blob was changed or belongs elsewhere", keyID).Because(err)
	}
	if err != nil {
		return secret.Bytes{}, unavailable(ctx, "decrypt", name[1], err)
	}
	defer clear(out.Plaintext)
	if !intact(out.Plaintext, out.PlaintextCrc32C) {
		return secret.Bytes{}, damaged(name[1])
	}
	return secret.New(out.Plaintext), nil
}

// MAC computes a tag with the version of an HMAC_SHA256 key that has this
// resource name. See [kms.MAC].
func (c *Client) MAC(ctx context.Context, key string, d kms.Digest) (tag []byte, err error) {
	if !versionName.MatchString(key) {
		return nil, noVersion(key)
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.MacSign(ctx, &kmspb.MacSignRequest{Name: key, Data: text, DataCrc32C: checksum(text)})
	if err != nil {
		return nil, unavailable(ctx, "sign", key, err)
	}
	if !out.VerifiedDataCrc32C || !intact(out.Mac, out.MacCrc32C) || out.Name != key || len(out.Mac) != sha256.Size {
		return nil, damaged(key)
	}
	return out.Mac, nil
}

// Verify has Cloud KMS compare tag with that of MAC. A tag that has not 32
// bytes is not sent. See [kms.MAC].
func (c *Client) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	if !versionName.MatchString(key) {
		return false, noVersion(key)
	}
	text, err := d.Text()
	if err != nil || len(tag) != sha256.Size {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.MacVerify(ctx, &kmspb.MacVerifyRequest{
		Name: key, Data: text, DataCrc32C: checksum(text), Mac: tag, MacCrc32C: checksum(tag),
	})
	if err != nil {
		return false, unavailable(ctx, "verify", key, err)
	}
	if !out.VerifiedDataCrc32C || !out.VerifiedMacCrc32C || out.VerifiedSuccessIntegrity != out.Success || out.Name != key {
		return false, damaged(key)
	}
	return out.Success, nil
}

func checksum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, castagnoli)))
}

// intact reports whether b has this checksum, which must be there.
func intact(b []byte, sum *wrapperspb.Int64Value) bool {
	return sum != nil && sum.Value == int64(crc32.Checksum(b, castagnoli))
}

func damaged(key string) error {
	return fault.New(fault.Unavailable, "Google Cloud KMS: request or answer for key %s was damaged on the way", key)
}

func noVersion(key string) error {
	return fault.New(fault.Unavailable, "Google Cloud KMS: got the key %q, want the resource name of a version of a key", key)
}

func unavailable(ctx context.Context, what, key string, err error) error {
	return fault.New(fault.Unavailable, "Google Cloud KMS does not %s with key %s", what, key).Because(errors.Join(err, ctx.Err()))
}
