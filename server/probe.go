package server

import (
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/awskms"
	"github.com/sealwright/sealwright/server/internal/kms/gcpkms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
	"github.com/sealwright/sealwright/server/internal/kms/transit"
)

// RootKeyCheck is how one provider of root keys did.
type RootKeyCheck struct {
	Provider string        // such as transit
	Wraps    bool          // it is kms.provider; others only open what they have wrapped
	RootKey  string        // ID of the root key that it wraps with; empty if it does not work, or is for native keys alone
	Took     time.Duration // of the try
	Err      error         // nil if it works
}

// CheckRootKeys has every provider of root keys that the configuration names
// wrap and unwrap something; one without a root key, which is for native keys,
// is only opened. It opens no store and changes nothing: a root key
// file that is missing is an error here. The error is a [ConfigErrors] if the
// configuration cannot be used; what does not work stands in the list.
func CheckRootKeys(ctx context.Context, c Config) ([]RootKeyCheck, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	var list []RootKeyCheck
	for _, name := range []string{localProvider, awskms.Name, gcpkms.Name, transit.Name, pkcs11.Name} {
		wraps := name == c.kms.provider
		named := c.kms.sections[name] && (name != localProvider || c.kms.file != "" || c.kms.variable != "")
		if wraps || named {
			check := RootKeyCheck{Provider: name, Wraps: wraps}
			start := time.Now()
			check.RootKey, check.Err = tryProvider(ctx, c, name)
			check.Took = time.Since(start)
			list = append(list, check)
		}
	}
	return list, nil
}

func tryProvider(ctx context.Context, c Config, name string) (keyID string, err error) {
	if path := c.rootKeyFile(); name == localProvider && path != "" {
		w, err := local.Load(path) // and do not make it
		if err != nil {
			return "", err
		}
		return kms.Probe(ctx, w)
	}
	r := &rootKeys{}
	w, err := r.open(ctx, c, name, nil)
	if err != nil {
		return "", errors.Join(err, r.Close())
	}
	if c.kms.hasRootKey(name) {
		keyID, err = kms.Probe(ctx, w)
	}
	return keyID, errors.Join(err, r.Close())
}

// hasRootKey reports whether a section names a key that wraps.
func (c kmsConfig) hasRootKey(name string) bool {
	switch name {
	case awskms.Name:
		return c.aws.Key != ""
	case gcpkms.Name:
		return c.gcp.Key != ""
	case transit.Name:
		return c.transit.Key != ""
	case pkcs11.Name:
		return c.pkcs11.Key != ""
	}
	return true
}
