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

const spiffe = "uri:spiffe://example.com/ci"

func TestCheckCertificate(t *testing.T) {
	for name, want := range map[string]bool{
		spiffe: true, "uri:https://example.com/a?b=c": true, "dns:ci.example.com": true, "dns:localhost": true,
		"spki-sha256:" + strings.Repeat("0a", 32): true,
		"": false, "ci": false, "cn:ci": false, "uri:": false, "uri:ci": false, "uri:spiffe://example.com/*": false, "uri:spiffe:///ci": false,
		"uri:SPIFFE://example.com": false, "uri:spiffe://example.com/a b": false, "uri:spiffe://e/" + strings.Repeat("a", 2048): false,
		"dns:": false, "dns:*.example.com": false, "dns:CI.example.com": false, "dns:.example.com": false, "dns:ci.example.com.": false,
		"dns:" + strings.Repeat("a", 254): false, "spki-sha256:" + strings.Repeat("0A", 32): false, "spki-sha256:" + strings.Repeat("0a", 31): false,
	} {
		err := tenant.CheckCertificate(name)
		if (err == nil) != want || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%.60q: got %v", name, err)
		}
	}
}

func TestByCertificate(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", grants(access.Signer))
	h.caller(t, home, "other", nil)
	k, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "ci", spiffe, time.Hour)
	if err != nil || k.Certificate != spiffe || k.Kind != tenant.Certificate {
		t.Fatalf("got %+v, %v", k, err)
	}
	for what, s := range map[string]*tenant.Service{"this node": h.Service, "another": h.open(t)} {
		c, err := s.ByCertificate([]string{"dns:x", spiffe})
		if err != nil || c.ID != "ci" || c.Tenant != "home" {
			t.Errorf("%s: got %+v, %v", what, c, err)
		}
	}
	if c, err := h.FindCaller(home, "ci"); err != nil || !c.Credentials[1].LastUsed().Equal(start.Truncate(time.Microsecond)) {
		t.Errorf("got %+v, %v", c, err)
	}
	for name, names := range map[string][]string{"Other": {"uri:spiffe://example.com/cib"}, "None": nil, "ID": {k.ID}} {
		_, err := h.ByCertificate(names)
		unknown(t, name, err, "no credential names")
	}
	_, err = h.AddCertificate(t.Context(), operatorIn(t, "home"), "other", spiffe, time.Hour)
	wantKind(t, "the same for another caller", err, fault.Conflict)
	if _, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "ci", spiffe, time.Hour); err != nil {
		t.Errorf("once more for the same: %v", err)
	}

	// Two names of one certificate that are those of two callers are nobody's.
	if _, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "other", "dns:x", time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err = h.ByCertificate([]string{"dns:x", spiffe})
	unknown(t, "two callers", err, "and another caller")

	now := h.now
	h.now = now.Add(time.Hour)
	_, err = h.ByCertificate([]string{spiffe})
	unknown(t, "expired", err, "has expired")
	h.now = now
	if _, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = h.ByCertificate([]string{spiffe})
	unknown(t, "disabled", err, "is disabled")
	if _, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	c, err := h.FindCaller(home, "ci")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Credentials {
		if err := h.RevokeCredential(t.Context(), home, "ci", k.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.ByCertificate([]string{spiffe})
	unknown(t, "revoked", err, "no credential names")
	if _, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "other", spiffe, time.Hour); err != nil {
		t.Errorf("free again: %v", err)
	}
	if err := h.DeleteCaller(t.Context(), home, "other", 0); err != nil {
		t.Fatal(err)
	}
	_, err = h.ByCertificate([]string{spiffe, "dns:x"})
	unknown(t, "deleted", err, "no credential names")
}

func TestAddCertificateRefuses(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", nil)
	_, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "ci", "cn:ci", 0)
	wantKind(t, "form", err, fault.Invalid)
	_, err = h.AddCertificate(t.Context(), access.NewCaller("x", "home", nil), "ci", spiffe, 0)
	wantKind(t, "no rights", err, fault.Denied)
	_, _, err = h.AddCredential(t.Context(), home, "ci", tenant.Certificate, 0)
	wantKind(t, "without a name", err, fault.Invalid)
}

// A tenant cannot take the certificates of another, nor have them belong to two
// callers, which is nobody: it is the operator who says whose they are.
func TestCertificatesOfOthers(t *testing.T) {
	h := newHouse(t)
	thief := access.TenantAdministrator("boss", "other")
	h.caller(t, home, "ci", grants(access.Signer))
	h.caller(t, thief, "thief", grants(access.Signer))
	if _, err := h.AddCertificate(t.Context(), operatorIn(t, "home"), "ci", spiffe, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{spiffe, "uri:spiffe://example.com/other", "spki-sha256:" + strings.Repeat("0a", 32)} {
		_, err := h.AddCertificate(t.Context(), thief, "thief", name, 0)
		wantKind(t, name, err, fault.Denied)
	}
	c, err := h.ByCertificate([]string{spiffe, "spki-sha256:" + strings.Repeat("0a", 32)})
	if err != nil || c.ID != "ci" {
		t.Errorf("got %+v, %v", c, err)
	}
	all, err := h.store.Tail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := all[len(all)-1]; last.Caller != "boss" || last.Tenant != "other" || last.Action != string(access.CredentialCreate) || last.Reason == "" {
		t.Errorf("last entry: got %+v, want the refusal", last)
	}
}

func operatorIn(t *testing.T, tenant string) access.Caller {
	t.Helper()
	c, err := operator.In(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ByID is for somebody else who has found out who it is.
func TestByID(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", grants(access.Signer))
	h.caller(t, operator, "alice", grants(access.Operator))
	if c, err := h.ByID("home", "ci"); err != nil || c.ID != "ci" || c.Tenant != "home" {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err := h.ByID("", "operator:alice"); err != nil || !c.IsOperator() {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, tt := range [][2]string{{"other", "ci"}, {"", "ci"}, {"", "alice"}, {"home", "operator:alice"}, {"home", "alice"}, {"home", ""}, {"", "operator:"}, {"", "admin"}} {
		_, err := h.ByID(tt[0], tt[1])
		unknown(t, tt[0]+"/"+tt[1], err, "no caller")
	}
	if _, err := h.UpdateTenant(t.Context(), operator, "home", 0, true); err != nil {
		t.Fatal(err)
	}
	_, err := h.ByID("home", "ci")
	unknown(t, "tenant disabled", err, "tenant")

	o := h.options()
	o.Current = func() bool { return false }
	s, err := tenant.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.ByID("home", "new")
	wantKind(t, "a caller that this node may not know", err, fault.Unavailable)
	_, err = s.ByCertificate([]string{spiffe})
	wantKind(t, "a certificate that this node may not know", err, fault.Unavailable)
}
