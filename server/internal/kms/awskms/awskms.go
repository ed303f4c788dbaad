// Package awskms wraps data keys and computes MACs with AWS KMS.
//
// Data keys are encrypted under a symmetric key (Encrypt, Decrypt). The
// additional data is bound by the encryption context, of which it is one entry,
// "sealwright-aad-sha256" with its SHA-256 in hex: contexts stand in CloudTrail
// in clear and are limited in size. MACs are GenerateMac and VerifyMac with
// HMAC_SHA_256 keys; AWS compares. GenerateMac takes at most 4,096 bytes and has
// no mode for digests, so what is signed is the text of a [kms.Digest], which
// holds that limit.
//
// Credentials and region come from where the AWS SDK looks for them:
// environment, shared files, web identity, and the roles of containers and
// instances.
package awskms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// Name is the provider in key IDs, which are "awskms:" and the ARN of a key.
const Name = "awskms"

const (
	contextKey     = "sealwright-aad-sha256"
	defaultTimeout = 10 * time.Second
)

var (
	_ kms.Wrapper = (*Client)(nil)
	_ kms.MAC     = (*Client)(nil)
)

// Config says which key.
type Config struct {
	Key      string        // that wraps: ID, ARN, or "alias/" and a name; empty if none is to
	Region   string        // empty means that of the environment
	Endpoint string        // URL of the service; empty means that of the region
	Timeout  time.Duration // of one call with its repetitions; 0 means 10 s
}

// Client is a client of AWS KMS. Get one from [Open]. It may be used by many
// goroutines.
type Client struct {
	api     *awskms.Client
	key     string
	timeout time.Duration
}

// Open returns a client. It asks AWS nothing; [kms.Probe] does.
func Open(ctx context.Context, c Config) (*Client, error) {
	loaded, err := config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
		o.Region = c.Region
		return nil
	})
	if err != nil {
		return nil, fault.New(fault.Unavailable, "AWS configuration cannot be read").Because(err)
	}
	if loaded.Region == "" {
		return nil, fault.New(fault.Unavailable, "AWS KMS needs a region")
	}
	api := awskms.NewFromConfig(loaded, func(o *awskms.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return &Client{api: api, key: c.Key, timeout: cmp.Or(c.Timeout, defaultTimeout)}, nil
}

// Wrap encrypts plain under the key of the configuration. See [kms.Wrapper].
func (c *Client) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, "", err
	}
	if c.key == "" {
		return nil, "", noKey()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.Encrypt(ctx, &awskms.EncryptInput{
		KeyId: aws.String(c.key), Plaintext: plain.Expose(), EncryptionContext: bind(aad),
	})
	if err != nil {
		return nil, "", unavailable("encrypt", c.key, err)
	}
	return out.CiphertextBlob, Name + ":" + aws.ToString(out.KeyId), nil
}

// Unwrap decrypts blob under the key that keyID names. See [kms.Wrapper].
func (c *Client) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	key, ok := strings.CutPrefix(keyID, Name+":")
	if !ok || key == "" {
		return secret.Bytes{}, fault.New(fault.Unavailable, "data key is wrapped with %q, want a key of AWS KMS", keyID)
	}
	if len(blob) == 0 {
		return secret.Bytes{}, fault.New(fault.Internal, "unwrap with %s: the blob is empty", keyID)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.Decrypt(ctx, &awskms.DecryptInput{
		KeyId: aws.String(key), CiphertextBlob: blob, EncryptionContext: bind(aad),
	})
	if isA[*types.InvalidCiphertextException](err) || isA[*types.IncorrectKeyException](err) {
		return secret.Bytes{}, fault.New(fault.Internal, "unwrap with %s: the blob was changed or belongs elsewhere", keyID).Because(err)
	}
	if err != nil {
		return secret.Bytes{}, unavailable("decrypt", key, err)
	}
	defer clear(out.Plaintext)
	return secret.New(out.Plaintext), nil
}

// MAC computes a tag with the HMAC_SHA_256 key of this ID, ARN or alias. See
// [kms.MAC].
func (c *Client) MAC(ctx context.Context, key string, d kms.Digest) (tag []byte, err error) {
	if key == "" {
		return nil, noKey()
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.GenerateMac(ctx, &awskms.GenerateMacInput{
		KeyId: aws.String(key), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: text,
	})
	if err != nil {
		return nil, unavailable("sign", key, err)
	}
	if len(out.Mac) != sha256.Size {
		return nil, fault.New(fault.Unavailable, "AWS KMS: got a tag of %d bytes, want %d", len(out.Mac), sha256.Size)
	}
	return out.Mac, nil
}

// Verify has AWS KMS compare tag with that of MAC. A tag that has not 32 bytes
// is not sent. See [kms.MAC].
func (c *Client) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	if key == "" {
		return false, noKey()
	}
	text, err := d.Text()
	if err != nil || len(tag) != sha256.Size {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.VerifyMac(ctx, &awskms.VerifyMacInput{
		KeyId: aws.String(key), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: text, Mac: tag,
	})
	if isA[*types.KMSInvalidMacException](err) {
		return false, nil
	}
	if err != nil {
		return false, unavailable("verify", key, err)
	}
	return out.MacValid, nil
}

// MakeKey makes an HMAC_256 key that carries label as its description, and
// returns its ARN. It needs the permission kms:CreateKey.
func (c *Client) MakeKey(ctx context.Context, label string) (key string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.CreateKey(ctx, &awskms.CreateKeyInput{
		KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac, Description: aws.String(label),
	})
	if err != nil {
		return "", fault.New(fault.Unavailable, "AWS KMS does not make a key").Because(err)
	}
	if out.KeyMetadata == nil || aws.ToString(out.KeyMetadata.Arn) == "" {
		return "", fault.New(fault.Unavailable, "AWS KMS: the answer does not name the key that was made")
	}
	return *out.KeyMetadata.Arn, nil
}

func bind(aad []byte) map[string]string {
	sum := sha256.Sum256(aad)
	return map[string]string{contextKey: hex.EncodeToString(sum[:])}
}

func noKey() error { return fault.New(fault.Unavailable, "AWS KMS needs the name of a key") }

func unavailable(what, key string, err error) error {
	return fault.New(fault.Unavailable, "AWS KMS does not %s with key %s", what, key).Because(err)
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
