// Package gcpsecrets reads secrets from Google Cloud Secret Manager.
//
// A name is the resource name of a secret, of which the version "latest" is
// read, or of one of its versions or aliases. Secrets of one region have
// "locations/…" in their names and need the endpoint of that region. Payloads
// are checked against their CRC-32C. The number of the version is the version
// of the payload.
//
// Credentials come from where the client library looks for them (Application
// Default Credentials). They need roles/secretmanager.secretAccessor.
package gcpsecrets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// Name is the provider in references.
const Name = "gcpsecrets"

const defaultTimeout = 10 * time.Second

var _ source.Source = (*Client)(nil)

// secretName is the resource name of a secret or of a version of one.
var secretName = regexp.MustCompile(`^projects/[^/]+/(locations/[^/]+/)?secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?$`)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Config says where. The zero value is the global endpoint.
type Config struct {
	Endpoint string                // host and port; empty means the global one
	Timeout  time.Duration         // of one call with its repetitions; 0 means 10 s
	Options  []option.ClientOption // credentials and more, if not those of the environment
}

// Client is a client of Secret Manager. Get one from [Open]. It may be used by
// many goroutines.
type Client struct {
	api     *secretmanager.Client
	timeout time.Duration
}

// Open returns a client. It asks for no secret.
func Open(ctx context.Context, c Config) (*Client, error) {
	options := c.Options
	if c.Endpoint != "" {
		options = append([]option.ClientOption{option.WithEndpoint(c.Endpoint)}, options...)
	}
	api, err := secretmanager.NewClient(ctx, options...)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "Google Secret Manager: no client, credentials may be missing").Because(err)
	}
	return &Client{api: api, timeout: cmp.Or(c.Timeout, defaultTimeout)}, nil
}

// Close closes the connections. Calls that are under way fail.
func (c *Client) Close() error {
	if err := c.api.Close(); err != nil {
		return fmt.Errorf("close client of Google Secret Manager: %w", err)
	}
	return nil
}

// Fetch returns the payload of the newest version, or of the one in name. See
// [source.Source].
func (c *Client) Fetch(ctx context.Context, name string) (source.Payload, error) {
	if !source.ValidName(name) || !secretName.MatchString(name) {
		return source.Payload{}, fault.New(fault.Invalid, "Google Secret Manager: got a name of %d bytes, want projects/…/secrets/…", len(name))
	}
	version := name
	if !strings.Contains(name, "/versions/") {
		version += "/versions/latest"
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: version})
	if err != nil {
		return source.Payload{}, refusal(ctx, name, err)
	}
	data := out.GetPayload().GetData()
	defer clear(data)
	if sum := out.GetPayload().DataCrc32C; sum == nil || *sum != int64(crc32.Checksum(data, castagnoli)) {
		return source.Payload{}, fault.New(fault.Unavailable, "Google Secret Manager: secret %s was damaged on the way", name)
	}
	_, number, _ := strings.Cut(out.GetName(), "/versions/")
	return source.Payload{Bytes: secret.New(data), Version: number}, nil
}

// refusal tells a secret that is not there, or whose version is disabled or
// destroyed, from everything else.
func refusal(ctx context.Context, name string, err error) error {
	switch code := status.Code(err); code {
	case codes.NotFound, codes.FailedPrecondition:
		return fault.New(fault.Invalid, "Google Secret Manager has no secret %s, or its version is disabled or destroyed", name).Because(err)
	default:
		return fault.New(fault.Unavailable, "Google Secret Manager does not give secret %s: %s", name, code).Because(errors.Join(err, ctx.Err()))
	}
}
