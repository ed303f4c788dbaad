// Package vaultkv reads secrets from the KV engine of OpenBao or HashiCorp
// Vault, version 1 or 2.
//
// A name is a path below the mount, without the "data/" that version 2 has in
// its URLs. What is kept there has fields, and a reference names one. The
// newest version is read; its number is the version of the payload. Version 1
// has no versions.
//
// The token needs the capability read on mount/data/name, of version 1 on
// mount/name.
package vaultkv

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// Name is the provider in references.
const Name = "vaultkv"

const (
	defaultMount   = "secret"
	defaultTimeout = 10 * time.Second
	retries        = 2
)

var _ source.Source = (*Client)(nil)

var mountPath = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)

// Config says which engine. Address and Token must be set.
type Config struct {
	Address   string // URL of the server
	Namespace string // empty for none
	Mount     string // of the engine; empty means "secret"
	Version   int    // of the engine, 1 or 2; 0 means 2
	CAFile    string // certificates in PEM to trust; empty means those of the system

	// Token returns the token to send. It is called for each request, so that
	// an agent that renews tokens can write them to a file.
	Token func() (secret.Bytes, error)

	Timeout time.Duration // of one call with its repetitions; 0 means 10 s
}

// Client is a client of one KV engine. Get one from [Open]. It may be used by
// many goroutines.
type Client struct {
	api    *api.Client
	config Config
}

// Open returns a client. It asks the server nothing.
func Open(c Config) (*Client, error) {
	c.Mount, c.Version, c.Timeout = cmp.Or(c.Mount, defaultMount), cmp.Or(c.Version, 2), cmp.Or(c.Timeout, defaultTimeout)
	switch {
	case c.Address == "" || c.Token == nil:
		return nil, fault.New(fault.Unavailable, "vaultkv needs address and token")
	case !mountPath.MatchString(c.Mount):
		return nil, fault.New(fault.Unavailable, "vaultkv: got the mount %q, want a path without slashes around it", c.Mount)
	case c.Version != 1 && c.Version != 2:
		return nil, fault.New(fault.Unavailable, "vaultkv: got version %d of the engine, want 1 or 2", c.Version)
	}
	settings := api.NewConfig()
	settings.DisableEnvironment = true
	settings.Address, settings.MaxRetries = c.Address, retries
	if err := settings.ConfigureTLS(&api.TLSConfig{CACert: c.CAFile}); err != nil {
		return nil, fault.New(fault.Unavailable, "vaultkv: certificates to trust cannot be read from %s", c.CAFile).Because(err)
	}
	client, err := api.NewClient(settings)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "vaultkv: %s is no address of a server", c.Address).Because(err)
	}
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return &Client{api: client, config: c}, nil
}

// Fetch returns the fields of the newest version as a JSON object. See
// [source.Source].
func (c *Client) Fetch(ctx context.Context, name string) (source.Payload, error) {
	if !source.ValidName(name) {
		return source.Payload{}, fault.New(fault.Invalid, "vaultkv: got a name of %d bytes, want a path below the mount", len(name))
	}
	fields, version, err := c.read(ctx, name)
	if err != nil {
		return source.Payload{}, refusal(name, err)
	}
	doc, err := json.Marshal(fields)
	if err != nil {
		return source.Payload{}, fault.New(fault.Invalid, "vaultkv: %s has fields that are no JSON", name)
	}
	defer clear(doc)
	return source.Payload{Bytes: secret.New(doc), Version: version, Fields: true}, nil
}

func (c *Client) read(ctx context.Context, name string) (fields map[string]any, version string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	token, err := c.config.Token()
	if err != nil {
		return nil, "", err
	}
	c.api.SetToken(string(token.Expose()))
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	if c.config.Version == 1 {
		kept, err := c.api.KVv1(c.config.Mount).Get(ctx, name)
		if err == nil && kept.Data == nil {
			err = errors.New("the answer has no data, the engine may be of version 2")
		}
		if err != nil {
			return nil, "", err
		}
		return kept.Data, "", nil
	}
	kept, err := c.api.KVv2(c.config.Mount).Get(ctx, name)
	switch {
	case err != nil:
		return nil, "", err
	case kept.Data == nil: // the version is deleted or destroyed
		return nil, "", api.ErrSecretNotFound
	case kept.VersionMetadata == nil || kept.VersionMetadata.Version < 1:
		return nil, "", errors.New("the answer has no metadata, the engine may be of version 1")
	}
	return kept.Data, strconv.Itoa(kept.VersionMetadata.Version), nil
}

// refusal tells a secret that is not there from everything else.
func refusal(name string, err error) error {
	var answer *api.ResponseError
	isAnswer := errors.As(err, &answer)
	switch {
	case errors.Is(err, api.ErrSecretNotFound), isAnswer && answer.StatusCode == http.StatusNotFound:
		return fault.New(fault.Invalid, "vaultkv has no secret %s, or its newest version is deleted", name).Because(err)
	case isAnswer:
		return fault.New(fault.Unavailable, "vaultkv does not give secret %s: %s", name, http.StatusText(answer.StatusCode)).Because(err)
	}
	return fault.New(fault.Unavailable, "vaultkv does not give secret %s: it cannot be reached, or is no engine of this version", name).Because(err)
}
