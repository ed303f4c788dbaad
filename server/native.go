package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/awskms"
	"github.com/sealwright/sealwright/server/internal/kms/gcpkms"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
	"github.com/sealwright/sealwright/server/internal/kms/transit"
)

// providers are the key services that can have native keys, and whether they
// make some for us.
var providers = map[string]bool{awskms.Name: true, gcpkms.Name: false, transit.Name: false, pkcs11.Name: true}

// devices returns the key services of the configuration for native keys, and
// which is meant if none is named: the one that wraps, or the only one. None is
// opened before it is used, so a native key whose key service is away does not
// stop a start.
func (r *rootKeys) devices(ctx context.Context, c Config) (all map[string]kms.Device, first string) {
	all = map[string]kms.Device{}
	for name, makes := range providers {
		if !c.kms.sections[name] {
			continue
		}
		d := &device{open: func() (kms.MAC, error) { return r.device(context.WithoutCancel(ctx), c, name) }}
		limited := kms.Device{MAC: d}
		if makes {
			limited.Make = d.make
		}
		all[name] = kms.Limit(limited, kms.Bounds{})
		first = name
	}
	switch {
	case c.kms.provider != localProvider:
		first = c.kms.provider
	case len(all) != 1:
		first = ""
	}
	return all, first
}

// device returns a key service that wraps, or opens it.
func (r *rootKeys) device(ctx context.Context, c Config, name string) (kms.MAC, error) {
	w := r.ByName[name]
	if w == nil {
		var err error
		if w, err = r.open(ctx, c, name, nil); err != nil {
			return nil, err
		}
	}
	return w.(kms.MAC), nil // all but local are
}

// reopenAfter is how long a key service is left alone that could not be opened.
const reopenAfter = time.Second

// device is a key service that is opened when it is used first. One that cannot
// be opened is tried again, but not one that has refused the PIN: it could lock
// itself.
type device struct {
	open func() (kms.MAC, error)

	mu     sync.Mutex
	opened kms.MAC
	err    error     // of the last try
	at     time.Time // of the last try
}

func (d *device) get() (kms.MAC, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened != nil || d.err != nil && (errors.Is(d.err, pkcs11.ErrLogin) || time.Since(d.at) < reopenAfter) {
		return d.opened, d.err
	}
	m, err := d.open()
	d.at = time.Now()
	if err != nil {
		if fault.KindOf(err) != fault.Unavailable {
			err = fault.New(fault.Unavailable, "key service cannot be opened").Because(err)
		}
		d.err = err
		return nil, err
	}
	d.opened, d.err = m, nil
	return m, nil
}

// MAC is that of the key service.
func (d *device) MAC(ctx context.Context, key string, m kms.Digest) ([]byte, error) {
	service, err := d.get()
	if err != nil {
		return nil, err
	}
	return service.MAC(ctx, key, m)
}

// Verify is that of the key service.
func (d *device) Verify(ctx context.Context, key string, m kms.Digest, tag []byte) (bool, error) {
	service, err := d.get()
	if err != nil {
		return false, err
	}
	return service.Verify(ctx, key, m, tag)
}

// maker is a key service that makes keys.
type maker interface {
	MakeKey(ctx context.Context, label string) (key string, err error)
}

func (d *device) make(ctx context.Context, label string) (string, error) {
	service, err := d.get()
	if err != nil {
		return "", err
	}
	return service.(maker).MakeKey(ctx, label) // as providers says
}
