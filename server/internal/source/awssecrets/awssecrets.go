// Package awssecrets reads secrets from AWS Secrets Manager.
//
// A name is that of a secret or its ARN, which is needed for one of another
// account. The current version is read, the one with the stage AWSCURRENT; its
// ID is the version of the payload, which is SecretString or SecretBinary.
//
// Credentials and region come from where the AWS SDK looks for them:
// environment, shared files, web identity, and the roles of containers and
// instances. They need secretsmanager:GetSecretValue, and kms:Decrypt for
// secrets under a key of one's own.
package awssecrets

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// Name is the provider in references.
const Name = "awssecrets"

const defaultTimeout = 10 * time.Second

var _ source.Source = (*Client)(nil)

// Config says where. The zero value is the region of the environment.
type Config struct {
	Region   string        // empty means that of the environment
	Endpoint string        // URL of the service; empty means that of the region
	Timeout  time.Duration // of one call with its repetitions; 0 means 10 s
}

// Client is a client of Secrets Manager. Get one from [Open]. It may be used
// by many goroutines.
type Client struct {
	api     *secretsmanager.Client
	timeout time.Duration
}

// Open returns a client. It asks AWS nothing.
func Open(ctx context.Context, c Config) (*Client, error) {
	loaded, err := config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
		o.Region = c.Region
		return nil
	})
	if err != nil {
		return nil, fault.New(fault.Unavailable, "AWS configuration cannot be read").Because(err)
	}
	if loaded.Region == "" {
		return nil, fault.New(fault.Unavailable, "AWS Secrets Manager needs a region")
	}
	api := secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return &Client{api: api, timeout: cmp.Or(c.Timeout, defaultTimeout)}, nil
}

// Fetch returns the payload with the stage AWSCURRENT. See [source.Source].
func (c *Client) Fetch(ctx context.Context, name string) (source.Payload, error) {
	if !source.ValidName(name) {
		return source.Payload{}, fault.New(fault.Invalid, "AWS Secrets Manager: got a name of %d bytes that no secret has", len(name))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return source.Payload{}, refusal(name, err)
	}
	payload := source.Payload{Bytes: secret.New(out.SecretBinary), Version: aws.ToString(out.VersionId)}
	clear(out.SecretBinary)
	if out.SecretString != nil {
		payload.Bytes = secret.FromString(*out.SecretString)
	}
	return payload, nil
}

// refusal tells a secret that is not there from everything else. The code of
// an error is AWS's and shows nothing of the secret.
func refusal(name string, err error) error {
	var missing *types.ResourceNotFoundException
	var deleted *types.InvalidRequestException // it is marked for deletion
	if errors.As(err, &missing) || errors.As(err, &deleted) {
		return fault.New(fault.Invalid, "AWS Secrets Manager has no secret %s, or it is to be deleted", name).Because(err)
	}
	code := "it cannot be reached"
	var answer smithy.APIError
	if errors.As(err, &answer) {
		code = answer.ErrorCode()
	}
	return fault.New(fault.Unavailable, "AWS Secrets Manager does not give secret %s: %s", name, code).Because(err)
}
