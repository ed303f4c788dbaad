package client_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
)

// TestLostAnswers breaks the connection before a change was made, and after it,
// before its answer: what is repeated is done once.
func TestLostAnswers(t *testing.T) {
	_, c := start(t)
	p, proxied := through(t, c)
	proxied.Retry.Attempts = 3
	ctx := t.Context()

	p.late.Store(true)
	if k, err := proxied.Keys().Create(ctx, api.CreateKey{Name: "a"}); err != nil || k.Name != "a" {
		t.Errorf("created, and the answer lost: got %+v, %v", k, err)
	}
	p.late.Store(true)
	if k, err := proxied.Keys().Rotate(ctx, "a", api.RotateKey{}); err != nil || len(k.Versions) != 2 {
		t.Errorf("rotated, and the answer lost: got %+v, %v", k, err)
	}
	p.late.Store(true)
	if err := proxied.Keys().Delete(ctx, "a"); err != nil {
		t.Errorf("deleted, and the answer lost: got %v", err)
	}
	p.late.Store(true)
	if k, err := proxied.Keys().Restore(ctx, "a", ""); err != nil || len(k.Versions) != 2 {
		t.Errorf("restored, and the answer lost: got %+v, %v", k, err)
	}

	p.broken.Store(true)
	if _, err := proxied.Keys().Rotate(ctx, "a", api.RotateKey{}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("not done: got %v", err)
	}
	p.broken.Store(false)
	if k, err := c.Keys().Get(ctx, "a"); err != nil || len(k.Versions) != 2 {
		t.Errorf("afterwards: got %+v, %v", k, err)
	}
}
