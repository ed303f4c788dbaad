package pass_test

import (
	"context"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/pass"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var start = time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)

// house is a node with a clock, on a store that others may use too.
type house struct {
	*pass.Service
	store   *memory.Store
	sealer  *custody.Service
	now     time.Time
	caller  error // about every caller
	current bool
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{store: memory.New(), now: start, current: true}
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if h.sealer, err = custody.Open(t.Context(), custody.Options{Store: h.store, Wrapper: root}); err != nil {
		t.Fatal(err)
	}
	h.Service = h.open(t)
	return h
}

// open returns another node.
func (h *house) open(t *testing.T) *pass.Service {
	t.Helper()
	s, err := pass.Open(t.Context(), h.options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *house) options() pass.Options {
	return pass.Options{
		Store: h.store, Sealer: h.sealer, Now: func() time.Time { return h.now }, Current: func() bool { return h.current },
		Caller: func(tenant, id string) (access.Caller, error) {
			if h.caller != nil {
				return access.Caller{}, h.caller
			}
			return access.TenantAdministrator(id, tenant), nil
		},
	}
}

func (h *house) token(t *testing.T) string {
	t.Helper()
	text, _, err := h.Issue(pass.Token, h.pass())
	if err != nil {
		t.Fatal(err)
	}
	return string(text.Expose())
}

func (h *house) pass() pass.Pass {
	return pass.Pass{Caller: "ci", Tenant: "default", Issuer: "github", Claims: map[string]string{"ref": "refs/heads/main"}, Until: h.now.Add(10 * time.Minute)}
}

func denied(t *testing.T, err error, reason string) {
	t.Helper()
	if !errors.Is(err, fault.Denied) || fault.Public(err) != "pass is not valid" || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %v, want a refusal with %q", err, reason)
	}
}

func TestPass(t *testing.T) {
	h := newHouse(t)
	text := h.token(t)
	if !pass.Is(text) || pass.Is("swt_abc") || pass.Is("eyJ.e30.x") {
		t.Errorf("Is is wrong about %q or others", text)
	}
	c, p, err := h.Authenticate(pass.Token, text)
	if err != nil || c.ID != "ci" || c.Tenant != "default" || p.Claims["ref"] != "refs/heads/main" || p.Issuer != "github" || len(p.ID) != 16 || !p.IssuedAt.Equal(start) {
		t.Fatalf("got %+v, %+v, %v", c, p, err)
	}
	other := h.open(t)
	if c, _, err := other.Authenticate(pass.Token, text); err != nil || c.ID != "ci" {
		t.Errorf("another node: got %+v, %v", c, err)
	}
	if !h.First() || other.First() {
		t.Errorf("First: got %v and %v for the second node", h.First(), other.First())
	}
	h.now = start.Add(10*time.Minute - 1)
	if _, _, err := h.Authenticate(pass.Token, text); err != nil {
		t.Errorf("in its last instant: %v", err)
	}
	h.now = start.Add(10 * time.Minute)
	_, _, err = h.Authenticate(pass.Token, text)
	denied(t, err, "has expired")
}

func TestRefused(t *testing.T) {
	h := newHouse(t)
	text := h.token(t)
	parts := strings.Split(strings.TrimPrefix(text, "swe_"), ".")
	foreign := newHouse(t).token(t)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	operator := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"ci"`, `"operator:x"`, 1)))
	for _, tt := range []struct{ name, text, reason string }{
		{"Empty", "", "form"},
		{"OtherPrefix", "swt_" + strings.Join(parts, "."), "form"},
		{"TwoParts", "swe_" + parts[0] + "." + parts[1], "form"},
		{"FourParts", text + ".x", "form"},
		{"Large", text + strings.Repeat("A", 8<<10), "form"},
		{"OtherCaller", "swe_" + parts[0] + "." + operator + "." + parts[2], "wrong tag"},
		{"NoTag", "swe_" + parts[0] + "." + parts[1] + ".", "wrong tag"},
		{"CutTag", text[:len(text)-2], "wrong tag"},
		{"TagIsNoBase64", "swe_" + parts[0] + "." + parts[1] + ".!", "wrong tag"},
		{"OtherPlatform", foreign, "no key"},
		{"KeyOfThisTagOfThat", "swe_" + parts[0] + "." + strings.Join(strings.Split(foreign, ".")[1:], "."), "wrong tag"},
		{"NoKey", "swe_." + parts[1] + "." + parts[2], "no key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := h.Authenticate(pass.Token, tt.text)
			denied(t, err, tt.reason)
			if c.ID != "" {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// A pass of one kind is never taken for another.
func TestKinds(t *testing.T) {
	h := newHouse(t)
	all := []pass.Kind{pass.Token, pass.Session, pass.Login}
	for _, made := range all {
		text, _, err := h.Issue(made, h.pass())
		if err != nil {
			t.Fatal(err)
		}
		for _, asked := range all {
			if _, err := h.Check(asked, string(text.Expose())); (err == nil) != (made == asked) {
				t.Errorf("%s as %s: got %v", made, asked, err)
			}
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	h := newHouse(t)
	for name, edit := range map[string]func(*pass.Pass){
		"EndsNow":      func(p *pass.Pass) { p.Until = start },
		"EndsInASplit": func(p *pass.Pass) { p.Until = start.Add(time.Second - 1) }, // whole seconds
		"LivesTooLong": func(p *pass.Pass) { p.Until = start.Add(pass.MaxLife + time.Second) },
		"TooLarge":     func(p *pass.Pass) { p.Claims = map[string]string{"a": strings.Repeat("x", 8<<10)} },
	} {
		p := h.pass()
		edit(&p)
		text, _, err := h.Issue(pass.Token, p)
		if !errors.Is(err, fault.Invalid) || !text.IsZero() {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What is said about a caller now counts, whatever the pass says.
func TestCallerIsLookedAt(t *testing.T) {
	h := newHouse(t)
	text := h.token(t)
	h.caller = fault.New(fault.Denied, "caller is disabled")
	_, _, err := h.Authenticate(pass.Token, text)
	denied(t, err, "caller is disabled")
	h.caller = fault.New(fault.Unavailable, "not known here")
	if _, _, err = h.Authenticate(pass.Token, text); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want one of kind unavailable", err)
	}
	h.caller = nil
	if _, _, err = h.Authenticate(pass.Token, text); err != nil {
		t.Error(err)
	}
}

// Through many rotations a pass is good for its whole life on every node, and a
// node verifies with a key before any signs with it.
func TestRotation(t *testing.T) {
	h := newHouse(t)
	other := h.open(t)
	keyOf := func(text string) string { return strings.Split(text, ".")[0] }
	seen := map[string]bool{}
	for range 5 {
		old := h.token(t)
		seen[keyOf(old)] = true
		h.now = h.now.Add(7*24*time.Hour - time.Minute)
		long, _, err := h.Issue(pass.Session, pass.Pass{Caller: "ci", Until: h.now.Add(pass.MaxLife)})
		if err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(time.Minute)
		if err := h.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fresh := h.token(t); keyOf(fresh) != keyOf(old) {
			t.Error("a new key signs at once")
		}
		h.now = h.now.Add(5 * time.Minute)
		fresh := h.token(t)
		if keyOf(fresh) == keyOf(old) {
			t.Error("the new key does not sign")
		}
		h.current = false
		if _, err := other.Check(pass.Token, fresh); !errors.Is(err, fault.Unavailable) {
			t.Errorf("a node that is cut off: got %v", err)
		}
		h.current = true
		log, err := h.store.Tail(t.Context(), 0, store.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Apply(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*pass.Service{"this": h.Service, "the other": other} {
			if _, err := s.Check(pass.Token, fresh); err != nil {
				t.Errorf("%s node, new key: %v", name, err)
			}
			if _, err := s.Check(pass.Session, string(long.Expose())); err != nil {
				t.Errorf("%s node, old key: %v", name, err)
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("got %d keys, want 5", len(seen))
	}
	r, err := h.store.Load(t.Context(), "", "pass-keys", "pass-keys")
	if err != nil || strings.Count(string(r.Doc), `"id"`) != 2 {
		t.Errorf("got %s, %v, want two keys", r.Doc, err)
	}
}

// Several nodes that start at the same time have one key.
func TestOpenTogether(t *testing.T) {
	h := newHouse(t)
	h.store = memory.New()
	nodes := make([]*pass.Service, 4)
	var group sync.WaitGroup
	for i := range nodes {
		group.Go(func() { nodes[i], _ = pass.Open(context.Background(), h.options()) })
	}
	group.Wait()
	for i, a := range nodes {
		if a == nil {
			t.Fatalf("node %d did not open", i)
		}
		text, _, err := a.Issue(pass.Token, h.pass())
		if err != nil {
			t.Fatal(err)
		}
		for j, b := range nodes {
			if _, err := b.Check(pass.Token, string(text.Expose())); err != nil {
				t.Errorf("of node %d at node %d: %v", i, j, err)
			}
		}
	}
}

// The write of a key is broken both ways: what is said and what is stored agree,
// and the old key goes on.
func TestBroken(t *testing.T) {
	lost := errors.New("lost")
	for name, stored := range map[string]bool{"NotStored": false, "StoredButLost": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.now = start.Add(8 * 24 * time.Hour)
			h.store.Fail(memory.Fault{Err: lost, Apply: stored})
			err := h.Renew(t.Context())
			if (err == nil) != stored || err != nil && !errors.Is(err, lost) {
				t.Errorf("got %v, stored: %v", err, stored)
			}
			if _, err := h.Check(pass.Token, h.token(t)); err != nil {
				t.Error(err)
			}
			if err := h.Renew(t.Context()); err != nil {
				t.Errorf("again: %v", err)
			}
			h.now = h.now.Add(5 * time.Minute)
			if _, err := h.open(t).Check(pass.Token, h.token(t)); err != nil {
				t.Errorf("after a restart: %v", err)
			}
			r, err := h.store.Load(t.Context(), "", "pass-keys", "pass-keys")
			if err != nil || r.Version != 2 {
				t.Errorf("got version %d, %v, want 2", r.Version, err)
			}
		})
	}
}

// The store has no key in clear, and a damaged record is refused.
func TestStored(t *testing.T) {
	h := newHouse(t)
	r, err := h.store.Load(t.Context(), "", "pass-keys", "pass-keys")
	if err != nil || !strings.Contains(string(r.Doc), `"sealed"`) {
		t.Fatalf("got %s, %v", r.Doc, err)
	}
	for name, doc := range map[string]string{"NoKeys": `{}`, "NotOurs": strings.Replace(string(r.Doc), `"id":"`, `"id":"0`, 1)} {
		bad := r
		bad.Doc = []byte(doc)
		if _, err := h.store.Commit(t.Context(), store.Change{Puts: []store.Record{bad}, Entries: []store.Entry{{
			At: start, Caller: "test", Action: "damage", Kind: r.Kind, RecordID: r.ID, Name: r.Name,
		}}}); err != nil {
			t.Fatal(err)
		}
		r.Version++
		if _, err := pass.Open(t.Context(), h.options()); !errors.Is(err, fault.Internal) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	var h *house
	f.Add("swe_a.b.c")
	f.Add("swe_..")
	f.Fuzz(func(t *testing.T, text string) {
		if h == nil {
			h = newHouse(t)
		}
		if p, err := h.Check(pass.Token, text); err == nil {
			t.Errorf("got %+v", p)
		}
	})
}
