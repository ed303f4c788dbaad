package kms

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Device is a key service with keys that never leave it.
type Device struct {
	MAC

	// Make makes an HMAC key of 32 random bytes that the service does not give
	// out, and returns its name there. The label is for who looks at the
	// service. It is nil if the service makes no keys for us.
	Make func(ctx context.Context, label string) (key string, err error)
}

// Bounds say how many calls of a device there may be at a time. The zero value
// means the defaults.
type Bounds struct {
	Calls   int           // under way; 0 means 8
	Waiting int           // behind them; 0 means 64
	Wait    time.Duration // the most that a call waits; 0 means 5 s
}

// Limit returns d with bounds: a device takes milliseconds for a call, and what
// it cannot take must not pile up. Calls beyond the bounds are of kind
// [fault.Unavailable].
func Limit(d Device, b Bounds) Device {
	l := &limiter{
		device: d, running: make(chan struct{}, cmp.Or(b.Calls, 8)),
		most: int64(cmp.Or(b.Waiting, 64)), wait: cmp.Or(b.Wait, 5*time.Second),
	}
	limited := Device{MAC: l}
	if d.Make != nil {
		limited.Make = l.make
	}
	return limited
}

type limiter struct {
	device  Device
	running chan struct{} // has one element for each call under way
	waiting atomic.Int64
	most    int64 // that wait
	wait    time.Duration
}

// enter waits for its turn. Who gets no error calls leave.
func (l *limiter) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "key service was not asked").Because(err)
	}
	select {
	case l.running <- struct{}{}:
		return nil
	default:
	}
	if n := l.waiting.Add(1); n > l.most {
		l.waiting.Add(-1)
		return fault.New(fault.Unavailable, "key service is busy: %d calls are under way and %d wait, try again", cap(l.running), l.most)
	}
	defer l.waiting.Add(-1)
	late := time.NewTimer(l.wait)
	defer late.Stop()
	select {
	case l.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "key service was not asked: it is busy").Because(ctx.Err())
	case <-late.C:
		return fault.New(fault.Unavailable, "key service is busy: no turn within %v, try again", l.wait)
	}
}

func (l *limiter) leave() { <-l.running }

// MAC is that of the device.
func (l *limiter) MAC(ctx context.Context, key string, d Digest) ([]byte, error) {
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	defer l.leave()
	return l.device.MAC.MAC(ctx, key, d)
}

// Verify is that of the device.
func (l *limiter) Verify(ctx context.Context, key string, d Digest, tag []byte) (bool, error) {
	if err := l.enter(ctx); err != nil {
		return false, err
	}
	defer l.leave()
	return l.device.Verify(ctx, key, d, tag)
}

func (l *limiter) make(ctx context.Context, label string) (string, error) {
	if err := l.enter(ctx); err != nil {
		return "", err
	}
	defer l.leave()
	return l.device.Make(ctx, label)
}
