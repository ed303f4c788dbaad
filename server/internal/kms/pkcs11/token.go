//go:build pkcs11 && cgo

package pkcs11

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

const (
	defaultSessions = 8
	defaultWait     = 10 * time.Second
	nonceSize       = 12 // bytes
	tagSize         = 16 // bytes
)

var (
	_ kms.Wrapper = (*Token)(nil)
	_ kms.MAC     = (*Token)(nil)
)

// Token is an open token. Get one from [Open]. It may be used by many
// goroutines: a session serves one call at a time, and calls wait for a free
// one.
type Token struct {
	module *p11.Ctx
	config Config
	pool   chan *session // has Sessions entries, those that are not in use
	closed atomic.Bool

	refused atomic.Bool // the PIN: a token is locked after a few wrong ones
}

// session is one session with the token. Its zero value is not yet open.
type session struct {
	open   bool
	handle p11.SessionHandle
	keys   map[object]p11.ObjectHandle
}

// object is how a key is found.
type object struct {
	class uint // CKK_
	label string
}

// Open loads the module, logs in and looks for the key that wraps, if there is
// to be one. A process has one open token for each module. The error is of kind
// [fault.Unavailable], and wraps [ErrLogin] if the token refused the PIN.
func Open(ctx context.Context, c Config) (*Token, error) {
	if c.Module == "" || c.Token == "" || c.PIN.IsZero() {
		return nil, fault.New(fault.Unavailable, "PKCS#11 needs module, token and PIN")
	}
	c.Sessions = cmp.Or(c.Sessions, defaultSessions)
	c.Wait = cmp.Or(c.Wait, defaultWait)
	module := p11.New(c.Module)
	if module == nil {
		return nil, fault.New(fault.Unavailable, "PKCS#11 module %s cannot be loaded", c.Module)
	}
	if err := module.Initialize(); err != nil {
		module.Destroy()
		return nil, fault.New(fault.Unavailable, "PKCS#11 module %s cannot be initialized", c.Module).Because(err)
	}
	t := &Token{module: module, config: c, pool: make(chan *session, c.Sessions)}
	for range c.Sessions {
		t.pool <- new(session)
	}
	err := t.with(ctx, func(s *session) error {
		if c.Key == "" {
			return nil
		}
		_, err := t.find(s, object{p11.CKK_AES, c.Key})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close waits for calls that are under way and logs out. Later calls return an
// error of kind [fault.Unavailable].
func (t *Token) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	for range t.config.Sessions {
		t.drop(<-t.pool)
	}
	err := t.module.Finalize()
	t.module.Destroy()
	if err != nil {
		return fmt.Errorf("close PKCS#11 module: %w", err)
	}
	return nil
}

// with runs f in a session of its own. A session in which anything failed is
// closed, for an operation may be left half-way in it, and is opened anew by
// the next call.
func (t *Token) with(ctx context.Context, f func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "PKCS#11 token was not asked").Because(err)
	}
	if t.closed.Load() {
		return fault.New(fault.Unavailable, "PKCS#11 token is closed")
	}
	wait := time.NewTimer(t.config.Wait)
	defer wait.Stop()
	select {
	case s := <-t.pool:
		err := t.connect(s)
		if err == nil {
			err = f(s)
		}
		if err != nil {
			t.drop(s)
		}
		t.pool <- s
		return err
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "no free PKCS#11 session").Because(ctx.Err())
	case <-wait.C:
		return fault.New(fault.Unavailable, "no free PKCS#11 session of %d after %v", t.config.Sessions, t.config.Wait)
	}
}

// connect opens s if it is not open, and logs in. The login is that of all
// sessions.
func (t *Token) connect(s *session) error {
	if s.open {
		return nil
	}
	if t.refused.Load() {
		return t.unavailable("has refused the login: it is not asked again, since it may lock itself", ErrLogin)
	}
	slot, err := t.slot()
	if err != nil {
		return err
	}
	if s.handle, err = t.module.OpenSession(slot, p11.CKF_SERIAL_SESSION); err != nil {
		return t.unavailable("cannot open a session", err)
	}
	s.open, s.keys = true, map[object]p11.ObjectHandle{}
	err = t.module.Login(s.handle, p11.CKU_USER, string(t.config.PIN.Expose()))
	if err != nil && !errors.Is(err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)) {
		if isWrongPIN(err) {
			t.refused.Store(true)
			err = errors.Join(ErrLogin, err)
		}
		return t.unavailable("refuses the login", err)
	}
	return nil
}

// isWrongPIN reports whether another login with the same PIN can only do harm.
func isWrongPIN(err error) bool {
	var code p11.Error
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED:
		return true
	}
	return false
}

// drop closes s. What fails there is of no use to anybody: the session is gone.
func (t *Token) drop(s *session) {
	if s.open {
		_ = t.module.CloseSession(s.handle)
	}
	*s = session{}
}

// slot returns the slot that has the token.
func (t *Token) slot() (uint, error) {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return 0, t.unavailable("cannot be looked for", err)
	}
	found := []uint{}
	for _, slot := range slots {
		if info, err := t.module.GetTokenInfo(slot); err == nil && info.Label == t.config.Token {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, fault.New(fault.Unavailable, "got %d PKCS#11 tokens with label %q, want 1", len(found), t.config.Token)
	}
	return found[0], nil
}

// find returns the key o, which must be one of its label and kept in the token.
func (t *Token) find(s *session, o object) (p11.ObjectHandle, error) {
	if h, ok := s.keys[o]; ok {
		return h, nil
	}
	found, err := t.search(s, o)
	if err != nil {
		return 0, err
	}
	switch {
	case len(found) == 0 || o.label == "":
		return 0, fault.New(fault.Unavailable, "PKCS#11 token %q has no key %q of the type that is needed", t.config.Token, o.label)
	case len(found) > 1:
		return 0, fault.New(fault.Unavailable, "PKCS#11 token %q has several keys %q of the same type", t.config.Token, o.label)
	}
	if err := t.checkKept(s, found[0], o.label); err != nil {
		return 0, err
	}
	s.keys[o] = found[0]
	return found[0], nil
}

// search returns up to two keys o.
func (t *Token) search(s *session, o object) ([]p11.ObjectHandle, error) {
	err := t.module.FindObjectsInit(s.handle, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, o.class),
		p11.NewAttribute(p11.CKA_LABEL, o.label),
	})
	if err != nil {
		return nil, t.unavailable("cannot be searched", err)
	}
	found, _, err := t.module.FindObjects(s.handle, 2)
	if err = errors.Join(err, t.module.FindObjectsFinal(s.handle)); err != nil {
		return nil, t.unavailable("cannot be searched", err)
	}
	return found, nil
}

// checkKept returns an error if the token would give out the key h.
func (t *Token) checkKept(s *session, h p11.ObjectHandle, label string) error {
	got, err := t.module.GetAttributeValue(s.handle, h, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_SENSITIVE, nil), p11.NewAttribute(p11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return t.unavailable("does not describe its key", err)
	}
	isTrue := func(a *p11.Attribute) bool { return len(a.Value) == 1 && a.Value[0] != 0 }
	if !isTrue(got[0]) || isTrue(got[1]) {
		return fault.New(fault.Unavailable, "key %q of PKCS#11 token %q can be read out: want one that is sensitive and not extractable", label, t.config.Token)
	}
	return nil
}

func (t *Token) unavailable(what string, err error) error {
	return fault.New(fault.Unavailable, "PKCS#11 token %q %s", t.config.Token, what).Because(err)
}

// keep returns a copy of plain as a secret and clears plain.
func keep(plain []byte) secret.Bytes {
	defer clear(plain)
	return secret.New(plain)
}
