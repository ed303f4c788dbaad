package tenant_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

func TestByToken(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, home, "ci", grants(access.Signer))
	if !tenant.IsToken(token) || !strings.HasPrefix(token, "swt_") || len(token) != 68 {
		t.Fatalf("got a token of %d characters", len(token))
	}
	for name, s := range map[string]*tenant.Service{"Same": h.Service, "Restarted": h.open(t)} {
		who, err := s.ByToken(token)
		if err != nil || who.ID != "ci" || who.Tenant != "home" || access.AllowSome(who, access.KeySign) != nil || who.IsOperator() {
			t.Errorf("%s: got %+v, %v", name, who, err)
		}
	}
}

// TestRefusalsCostTheSame counts one hash for every token, whatever is wrong
// with it, and finds the same text for all of them.
func TestRefusalsCostTheSame(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	make := func(name string) (id, token string) {
		_, token = h.caller(t, home, name, grants(access.Signer))
		return token[4:24], token
	}
	id, good := make("good")
	_, disabled := make("disabled")
	_, deleted := make("deleted")
	revokedID, revoked := make("revoked")
	_, elsewhere := h.caller(t, access.TenantAdministrator("boss", "other"), "good", grants(access.Signer))
	k, _ := h.credential(t, home, "good", tenant.Signature)
	_, short, err := h.AddCredential(ctx, home, "good", tenant.Token, tenant.MinTTL)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		func() error {
			_, err := h.UpdateCaller(ctx, home, "disabled", 0, tenant.Update{Disabled: ptr(true)})
			return err
		}(),
		h.DeleteCaller(ctx, home, "deleted", 0),
		h.RevokeCredential(ctx, home, "revoked", revokedID),
		func() error { _, err := h.UpdateTenant(ctx, operator, "other", 0, true); return err }(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.now = start.Add(tenant.MinTTL)
	hashes := tenant.Hashes(h.Service)
	if _, err := h.ByToken(good); err != nil || hashes() != 1 {
		t.Fatalf("the right token: got %v after %d hashes", err, hashes())
	}
	for _, tt := range []struct{ name, token, reason string }{
		{"UnknownID", "swt_" + strings.Repeat("0", 20) + good[24:], "no credential"},
		{"WrongSecret", good[:len(good)-1] + map[bool]string{true: "A", false: "Q"}[good[len(good)-1] != 'A'], "wrong secret"},
		{"SecretOfAnother", "swt_" + id + revoked[24:], "wrong secret"},
		{"Disabled", disabled, "is disabled"},
		{"Deleted", deleted, "no credential"},
		{"Revoked", revoked, "is revoked"},
		{"ExpiredToTheInstant", string(short.Expose()), "has expired"},
		{"TenantDisabled", elsewhere, `tenant "other" is disabled`},
		{"CredentialThatSigns", "swt_" + k.ID + good[24:], "of kind token"},
		{"Cut", good[:len(good)-1], "no credential"},
		{"Empty", "", "no credential"},
		{"Long", strings.Repeat("a", 4096), "no credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := hashes()
			who, err := h.ByToken(tt.token)
			unknown(t, tt.name, err, tt.reason)
			if n := hashes() - before; n != 1 || who.ID != "" {
				t.Errorf("got %d hashes, want 1; caller %+v", n, who)
			}
		})
	}
}

func TestBySignature(t *testing.T) {
	h := newHouse(t)
	if _, err := h.CreateCaller(t.Context(), home, "ci", grants(access.Signer)); err != nil {
		t.Fatal(err)
	}
	k, text := h.credential(t, home, "ci", tenant.Signature)
	if !strings.HasPrefix(string(text.Expose()), "sws_") || text.Len() != 47 {
		t.Fatalf("got a secret of %d bytes", text.Len())
	}
	for name, s := range map[string]*tenant.Service{"Same": h.Service, "Restarted": h.open(t)} {
		ring, who, used, err := s.BySignature(k.ID)
		if err != nil || who.ID != "ci" || who.Tenant != "home" {
			t.Fatalf("%s: got %+v, %v", name, who, err)
		}
		key, err := ring.Signing(start)
		if err != nil || key.ID != k.ID || string(key.Secret.Expose()) != string(text.Expose()) {
			t.Errorf("%s: the ring has another key: %v", name, err)
		}
		used()
		if c, err := s.FindCaller(home, "ci"); err != nil || !c.Credentials[0].LastUsed().Equal(start) {
			t.Errorf("%s: got last use %v, %v", name, c.Credentials[0].LastUsed(), err)
		}
	}
	if err := h.RevokeCredential(t.Context(), home, "ci", k.ID); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*tenant.Service{h.Service, h.open(t)} {
		_, _, _, err := s.BySignature(k.ID)
		unknown(t, "revoked", err, "is revoked")
	}
	_, _, _, err := h.BySignature("nobody")
	unknown(t, "nobody", err, "no credential")
}

func TestCredentials(t *testing.T) {
	h := newHouse(t)
	if _, err := h.CreateCaller(t.Context(), home, "ci", nil); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, ttl := range []time.Duration{-1, tenant.MinTTL - 1, tenant.MaxTTL + 1} {
		_, _, err := h.AddCredential(ctx, home, "ci", tenant.Token, ttl)
		wantKind(t, ttl.String(), err, fault.Invalid)
	}
	_, _, err := h.AddCredential(ctx, home, "ci", "password", 0)
	wantKind(t, "unknown kind", err, fault.Invalid)
	_, _, err = h.AddCredential(ctx, home, "nobody", tenant.Token, 0)
	wantKind(t, "no caller", err, fault.NotFound)
	var first *tenant.Credential
	for range tenant.MaxCredentials {
		k, _ := h.credential(t, home, "ci", tenant.Token)
		if first == nil {
			first = k
		}
	}
	if !first.ExpiresAt.Equal(start.Add(tenant.DefaultTTL)) {
		t.Errorf("got end %v", first.ExpiresAt)
	}
	_, _, err = h.AddCredential(ctx, home, "ci", tenant.Token, 0)
	wantKind(t, "one too many", err, fault.Invalid)
	if err := h.RevokeCredential(ctx, home, "ci", first.ID); err != nil {
		t.Fatal(err)
	}
	h.credential(t, home, "ci", tenant.Token)
	wantKind(t, "revoke none", h.RevokeCredential(ctx, home, "ci", "none"), fault.NotFound)
	if err := h.RevokeCredential(ctx, home, "ci", first.ID); err != nil {
		t.Errorf("revoke again: %v", err)
	}
	for range 30 { // ended ones are forgotten at some time, good ones are not
		c, err := h.FindCaller(home, "ci")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.RevokeCredential(ctx, home, "ci", c.Credentials[len(c.Credentials)-1].ID); err != nil {
			t.Fatal(err)
		}
		h.credential(t, home, "ci", tenant.Token)
	}
	c, err := h.FindCaller(home, "ci")
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, k := range c.Credentials {
		if k.RevokedAt.IsZero() {
			good++
		}
	}
	if good != tenant.MaxCredentials || len(c.Credentials) != tenant.MaxCredentials+20 {
		t.Errorf("got %d credentials, %d of them good", len(c.Credentials), good)
	}
}

// A node that could be behind does not say who is nobody, and one that is too
// far behind trusts nobody.
func TestBehind(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, home, "ci", grants(access.Signer))
	var unusable error
	current := false
	o := h.options()
	o.Usable, o.Current = func() error { return unusable }, func() bool { return current }
	s, err := tenant.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	nobody := "swt_" + strings.Repeat("0", 20) + token[24:]
	if _, err := s.ByToken(token); err != nil {
		t.Errorf("known: %v", err)
	}
	_, err = s.ByToken(nobody)
	wantKind(t, "unknown and behind", err, fault.Unavailable)
	_, _, _, err = s.BySignature("nobody")
	wantKind(t, "unknown and behind", err, fault.Unavailable)
	current = true
	_, err = s.ByToken(nobody)
	unknown(t, "unknown and current", err, "no credential")
	unusable = fault.New(fault.Unavailable, "too old")
	if _, err = s.ByToken(token); !errors.Is(err, unusable) {
		t.Errorf("unusable: got %v", err)
	}
}
