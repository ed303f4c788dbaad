package tenant_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// TestConcurrency changes callers, roles and credentials while tokens are used.
// A token that is good stays so, and one that is revoked is never good again.
func TestConcurrency(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, home, "ci", grants(access.Signer))
	var changes, uses sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		uses.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if c, err := h.ByToken(token); err != nil || c.ID != "ci" {
					t.Errorf("the good token: got %+v, %v", c, err)
					return
				}
			}
		})
	}
	for i := range 4 {
		changes.Go(func() {
			name := fmt.Sprintf("c%d", i)
			if _, err := h.CreateCaller(t.Context(), home, name, grants(access.Verifier)); err != nil {
				t.Error(err)
			}
			if _, err := h.SetRole(t.Context(), home, "r"+name, 0, []access.Action{access.KeyRead}); err != nil {
				t.Error(err)
			}
			for range 20 {
				k, text, err := h.AddCredential(t.Context(), home, name, tenant.Token, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := h.ByToken(string(text.Expose())); err != nil {
					t.Errorf("a new token: %v", err)
				}
				if err := h.RevokeCredential(t.Context(), home, name, k.ID); err != nil {
					t.Error(err)
				}
				if _, err := h.ByToken(string(text.Expose())); !errors.Is(err, tenant.ErrUnknown) {
					t.Errorf("a revoked token: got %v", err)
				}
			}
		})
	}
	changes.Wait()
	close(done)
	uses.Wait()
	if list, _, err := h.open(t).Callers(home, false, "", 10); err != nil || len(list) != 5 {
		t.Errorf("got %d callers, %v", len(list), err)
	}
}
