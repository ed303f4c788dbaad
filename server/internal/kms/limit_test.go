package kms_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// slow is a device whose calls last until they are let go.
type slow struct{ gone chan struct{} }

func (s slow) MAC(context.Context, string, kms.Digest) ([]byte, error) {
	<-s.gone
	return []byte("tag"), nil
}

func (s slow) Verify(context.Context, string, kms.Digest, []byte) (bool, error) {
	<-s.gone
	return true, nil
}

func (s slow) make(context.Context, string) (string, error) {
	<-s.gone
	return "made", nil
}

// TestLimit fills a device of 2 calls with a queue of 3.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := slow{make(chan struct{})}
		d := kms.Limit(kms.Device{MAC: inner, Make: inner.make}, kms.Bounds{Calls: 2, Waiting: 3, Wait: time.Minute})
		done := make(chan error, 5)
		for i := range 5 {
			go func() {
				var err error
				switch i {
				case 0:
					_, err = d.MAC.MAC(t.Context(), "k", kms.Digest{})
				case 1:
					_, err = d.Make(t.Context(), "label")
				default:
					_, err = d.Verify(t.Context(), "k", kms.Digest{}, nil)
				}
				done <- err
			}()
			synctest.Wait()
		}
		started := time.Now()
		if ok, err := d.Verify(t.Context(), "k", kms.Digest{}, nil); ok || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "2 calls are under way and 3 wait") {
			t.Errorf("the sixth call: got %t, %v, want kind %v", ok, err, fault.Unavailable)
		}
		if time.Since(started) != 0 {
			t.Errorf("the sixth call waited for %v, want at once", time.Since(started))
		}
		close(inner.gone)
		for range 5 {
			if err := <-done; err != nil {
				t.Errorf("call: %v", err)
			}
		}
		if tag, err := d.MAC.MAC(t.Context(), "k", kms.Digest{}); string(tag) != "tag" || err != nil {
			t.Errorf("MAC afterwards: got %q, %v", tag, err)
		}
	})
}

// TestLimitGivesUp waits in vain, for as long as is allowed or until the caller
// goes, and leaves its place.
func TestLimitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := slow{make(chan struct{})}
		d := kms.Limit(kms.Device{MAC: inner}, kms.Bounds{Calls: 1, Waiting: 1})
		if d.Make != nil {
			t.Error("Make: got one, the device makes no keys")
		}
		go func() { _, _ = d.MAC.MAC(t.Context(), "k", kms.Digest{}) }()
		synctest.Wait()
		started := time.Now()
		for range 2 { // the place in the queue is free again
			tag, err := d.MAC.MAC(t.Context(), "k", kms.Digest{})
			if tag != nil || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "no turn within 5s") {
				t.Errorf("MAC: got %q, %v", tag, err)
			}
		}
		if got := time.Since(started); got != 10*time.Second {
			t.Errorf("gave up after %v, want 10s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 { // while it waits, and before
			if _, err := d.MAC.MAC(ctx, "k", kms.Digest{}); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("MAC with a deadline: got %v", err)
			}
		}
		close(inner.gone)
	})
}
