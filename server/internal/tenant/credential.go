package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Kind is how a credential is used.
type Kind string

// The kinds of credentials.
const (
	Token     Kind = "token"     // is sent itself
	Signature Kind = "signature" // signs requests and is never sent

	Certificate Kind = "certificate" // names a client certificate; it has no secret
)

// Bounds of credentials.
const (
	MaxCredentials = 20 // of one caller that are good
	MinTTL         = time.Minute
	DefaultTTL     = 365 * 24 * time.Hour
	MaxTTL         = 5 * 366 * 24 * time.Hour

	maxEnded     = 20 // ended ones that are still shown
	randomBytes  = 32
	idBytes      = 10 // in hex
	tokenPrefix  = "swt_"
	secretPrefix = "sws_"
)

// Credential proves who a caller is. It does not change.
type Credential struct {
	ID        string // 20 characters of hex; stands in tokens and as keyid
	Kind      Kind
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero if it is not

	Certificate string // that it names, see [CheckCertificate]; of others it is empty

	owner ref
	hash  []byte        // of a token
	ring  *keyring.Ring // of a credential that signs
	used  *atomic.Int64 // microseconds since 1970; shared by all versions of the caller
}

// LastUsed returns when the credential was last used at this node since it was
// started, to the second; zero if it was not.
func (k *Credential) LastUsed() time.Time {
	at := k.used.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

// credentialDoc is a part of format 1 of a record of kind caller.
type credentialDoc struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Hash      []byte    `json:"hash,omitempty"`   // HMAC-SHA256 of a token under a public key, a hash with a purpose
	Sealed    []byte    `json:"sealed,omitempty"` // secret of a credential that signs, encrypted

	Certificate string `json:"certificate,omitempty"` // that it names
}

func (d *credentialDoc) ended(now time.Time) bool {
	return !d.RevokedAt.IsZero() || !now.Before(d.ExpiresAt)
}

// sealTenant is the tenant under whose data key the secrets of callers of a
// tenant are, those of operators under that of the default one.
func sealTenant(tenant string) string {
	if tenant == "" {
		return access.DefaultTenant
	}
	return tenant
}

// openCredential returns one that can be used, unless it is revoked.
func (s *Service) openCredential(ctx context.Context, c *Caller, d *credentialDoc) (*Credential, error) {
	k := &Credential{
		ID: d.ID, Kind: d.Kind, CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt, RevokedAt: d.RevokedAt,
		Certificate: d.Certificate, owner: ref{c.Tenant, c.Name}, hash: d.Hash, used: new(atomic.Int64),
	}
	if !d.RevokedAt.IsZero() {
		return k, nil
	}
	switch {
	case d.Kind == Token && len(d.Hash) == mac.SHA256.Size():
		return k, nil
	case d.Kind == Certificate && d.Certificate != "":
		return k, nil
	case d.Kind == Signature && len(d.Sealed) > 0:
		key, err := s.sealer.Open(ctx, sealTenant(c.Tenant), sealName(c.ID, d.ID), d.Sealed)
		if err != nil {
			return nil, err
		}
		k.ring, err = keyring.New(keyring.Key{ID: d.ID, Version: 1, Secret: key})
		return k, err
	}
	return nil, fault.New(fault.Internal, "credential of kind %q has no secret", d.Kind)
}

// sealName binds a secret to its caller: neither part has a slash.
func sealName(callerID, credentialID string) string { return callerID + "/" + credentialID }

// AddCredential makes a credential of a caller and returns it with its secret,
// which is shown only now: the token itself, or the text whose bytes are the
// key of HMAC-SHA256. A ttl of 0 means [DefaultTTL]. Errors are those of
// [Service.UpdateCaller].
func (s *Service) AddCredential(ctx context.Context, caller access.Caller, id string, kind Kind, ttl time.Duration) (*Credential, secret.Bytes, error) {
	if kind == Certificate {
		return nil, secret.Bytes{}, fault.New(fault.Invalid, "certificate: want what it is known by")
	}
	return s.addCredential(ctx, caller, id, credentialDoc{Kind: kind}, ttl)
}

// AddCertificate lets a caller be known by client certificates of this name. No
// other caller may have it. Errors are those of [Service.UpdateCaller]; it is
// [fault.Conflict] if another has it, and [fault.Denied] for who is no operator:
// all tenants share the authorities, so who administers one could take the
// certificates of another, or have them belong to two callers, which is nobody.
func (s *Service) AddCertificate(ctx context.Context, caller access.Caller, id, certificate string, ttl time.Duration) (*Credential, error) {
	if !caller.IsOperator() {
		r := store.Record{Kind: kindCaller, Name: cut(id)}
		if err := s.allow(ctx, caller, access.CredentialCreate, caller.Tenant, r); err != nil {
			return nil, err
		}
		return nil, s.refuse(ctx, caller, access.CredentialCreate, r,
			fault.New(fault.Denied, "only an operator says whose certificates count, since all tenants share their authorities"))
	}
	k, _, err := s.addCredential(ctx, caller, id, credentialDoc{Kind: Certificate, Certificate: certificate}, ttl)
	return k, err
}

func (s *Service) addCredential(ctx context.Context, caller access.Caller, id string, next credentialDoc, ttl time.Duration) (*Credential, secret.Bytes, error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	next.ID = randomID(idBytes)
	text := secret.Bytes{}
	c, err := s.changeCaller(ctx, caller, access.CredentialCreate, id, 0, func(at ref, d *callerDoc) (detail, error) {
		if ttl < MinTTL || ttl > MaxTTL {
			return nil, fault.New(fault.Invalid, "ttl: got %v, want %v to %v", ttl, MinTTL, MaxTTL)
		}
		now := s.instant()
		next.CreatedAt, next.ExpiresAt = now, now.Add(ttl).Truncate(time.Microsecond)
		var err error
		if text, err = s.fill(ctx, at, &next); err != nil {
			return nil, err
		}
		d.Credentials = append(trim(d.Credentials, now), next)
		if good := len(d.Credentials) - ended(d.Credentials, now); good > MaxCredentials {
			return nil, fault.New(fault.Invalid, "the caller has %d credentials, which is the most: revoke one", MaxCredentials)
		}
		about := detail{"credential": next.ID, "credential_kind": string(next.Kind), "expires_at": next.ExpiresAt}
		if next.Certificate != "" {
			about["certificate"] = next.Certificate
		}
		return about, nil
	})
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	if k := c.credential(next.ID); k != nil {
		return k, text, nil
	}
	return nil, secret.Bytes{}, noCredential()
}

// fill makes the secret of a new credential.
func (s *Service) fill(ctx context.Context, at ref, d *credentialDoc) (text secret.Bytes, err error) {
	random := canon.Base64URLRaw.EncodeToString(secret.Random(randomBytes).Expose())
	switch d.Kind {
	case Token:
		text = secret.FromString(tokenPrefix + d.ID + "_" + random)
		d.Hash, err = s.tokens.key.Sum(nil, text.Expose())
	case Signature:
		text = secret.FromString(secretPrefix + random)
		id := at.name
		if at.tenant == "" {
			id = access.OperatorPrefix + at.name
		}
		d.Sealed, err = s.sealer.Seal(ctx, sealTenant(at.tenant), sealName(id, d.ID), text)
	case Certificate:
		err = s.checkCertificate(at, d.Certificate)
	default:
		err = fault.New(fault.Invalid, "kind: unknown, want %s, %s or %s", Token, Signature, Certificate)
	}
	return text, err
}

func ended(list []credentialDoc, now time.Time) (n int) {
	for i := range list {
		if list[i].ended(now) {
			n++
		}
	}
	return n
}

// trim forgets the oldest ended credentials, of which maxEnded stay.
func trim(list []credentialDoc, now time.Time) []credentialDoc {
	drop := ended(list, now) - maxEnded
	return slices.DeleteFunc(list, func(d credentialDoc) bool {
		if drop <= 0 || !d.ended(now) {
			return false
		}
		drop--
		return true
	})
}

// RevokeCredential refuses a credential from now on. One that is revoked
// already stays as it is. Errors are those of [Service.UpdateCaller].
func (s *Service) RevokeCredential(ctx context.Context, caller access.Caller, id, credential string) error {
	_, err := s.changeCaller(ctx, caller, access.CredentialRevoke, id, 0, func(_ ref, d *callerDoc) (detail, error) {
		for i := range d.Credentials {
			if k := &d.Credentials[i]; k.ID == credential {
				if k.RevokedAt.IsZero() {
					k.RevokedAt = s.instant()
				}
				k.Hash, k.Sealed = nil, nil
				return detail{"credential": credential}, nil
			}
		}
		return nil, noCredential()
	})
	return err
}

func noCredential() error { return fault.New(fault.NotFound, "no such credential of the caller") }

// tokens checks bearer tokens.
type tokens struct {
	key  *mac.Key
	none []byte // the hash of no token

	count func() // called for each hash, by tests; nil otherwise
}

// match takes the same time for all wrong tokens of the same length.
func (t *tokens) match(token string, hash []byte) bool {
	state := t.key.State()
	defer state.Release()
	if t.count != nil {
		t.count()
	}
	_, _ = state.WriteString(token)
	return state.Verify(hash)
}

// ErrUnknown means that a credential proves nobody. Its text says why, for the
// log only: to the outside all reasons look alike.
var ErrUnknown = fault.New(fault.Denied, "credential is not valid")

// IsToken reports whether a text has the form of a token that a [Service]
// makes.
func IsToken(text string) bool {
	_, ok := tokenID(text)
	return ok
}

func tokenID(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(rest) <= 2*idBytes || rest[2*idBytes] != '_' || len(rest) != 2*idBytes+1+43 {
		return "", false
	}
	return rest[:2*idBytes], true
}

// ByToken returns who holds a token. Whatever is wrong, it computes one MAC, and
// the error wraps [ErrUnknown]; it is of kind [fault.Unavailable] if this node
// does not know.
func (s *Service) ByToken(token string) (access.Caller, error) {
	id, _ := tokenID(token)
	k, caller, err := s.good(id, Token)
	hash := s.tokens.none
	if err == nil {
		hash = k.hash
	}
	if !s.tokens.match(token, hash) && err == nil {
		err = refusal("wrong secret for credential %q", id)
	}
	if err != nil {
		return access.Caller{}, err
	}
	k.touch(s.now())
	return caller, nil
}

// BySignature returns the key with which the credential signs, and who holds
// it if a signature verifies. Errors are those of [Service.ByToken]: whoever
// gets one computes a MAC all the same. Used notes that it was the case.
func (s *Service) BySignature(id string) (ring *keyring.Ring, caller access.Caller, used func(), err error) {
	k, caller, err := s.good(id, Signature)
	if err != nil {
		return nil, access.Caller{}, nil, err
	}
	return k.ring, caller, func() { k.touch(s.now()) }, nil
}

// Sign reports whether there is a caller who could sign requests, or could have
// until its credential ended.
func (s *Service) Sign() bool {
	for _, k := range s.snapshot().credentials {
		if k.Kind == Signature {
			return true
		}
	}
	return false
}

// good finds a credential that may be used now, and its caller.
func (s *Service) good(id string, kind Kind) (*Credential, access.Caller, error) {
	if s.usable != nil {
		if err := s.usable(); err != nil {
			return nil, access.Caller{}, err
		}
	}
	snap := s.snapshot()
	k := snap.credentials[id]
	switch {
	case k == nil && s.current != nil && !s.current():
		return nil, access.Caller{}, fault.New(fault.Unavailable, "this node does not know whether the credential exists, since it does not reach the database")
	case k == nil || k.Kind != kind:
		return nil, access.Caller{}, refusal("no credential %q of kind %s", id, kind)
	case !k.RevokedAt.IsZero():
		return nil, access.Caller{}, refusal("credential %q is revoked", id)
	case !s.now().Before(k.ExpiresAt):
		return nil, access.Caller{}, refusal("credential %q has expired", id)
	}
	c, err := snap.active(k.owner)
	if err != nil {
		return nil, access.Caller{}, err
	}
	caller := c.identity()
	caller.Credential = k.ID
	return k, caller, nil
}

// Again returns a caller as it is now, to whom the service has once returned it:
// while a request goes on, its credential may be revoked, and the caller be
// disabled or may do less. Errors are those of [Service.ByToken]. Callers that
// are in no store stay as they are.
func (s *Service) Again(caller access.Caller) (access.Caller, error) {
	if slices.Contains(reserved, caller.ID) {
		return caller, nil
	}
	var now access.Caller
	var err error
	if k := s.snapshot().credentials[caller.Credential]; k != nil {
		_, now, err = s.good(k.ID, k.Kind)
	} else if caller.Credential != "" {
		err = refusal("credential %q is gone", caller.Credential)
	} else if strings.HasPrefix(caller.ID, access.OperatorPrefix) {
		now, err = s.ByID("", caller.ID)
	} else {
		now, err = s.ByID(caller.Tenant, caller.ID)
	}
	if err == nil && now.Tenant != caller.Tenant { // an operator in another tenant
		now, err = now.In(caller.Tenant)
	}
	return now, err
}

// ByID returns the caller with this ID of a tenant, none for operators, to whom
// somebody else has proved who it is. Errors are those of [Service.ByToken].
func (s *Service) ByID(tenant, id string) (access.Caller, error) {
	if s.usable != nil {
		if err := s.usable(); err != nil {
			return access.Caller{}, err
		}
	}
	name, isOperator := strings.CutPrefix(id, access.OperatorPrefix)
	if isOperator != (tenant == "") {
		return access.Caller{}, refusal("no caller %q in tenant %q", id, tenant)
	}
	snap, at := s.snapshot(), ref{tenant, name}
	if snap.callers[at] == nil && s.current != nil && !s.current() {
		return access.Caller{}, fault.New(fault.Unavailable, "this node does not know whether the caller exists, since it does not reach the database")
	}
	c, err := snap.active(at)
	if err != nil {
		return access.Caller{}, err
	}
	return c.identity(), nil
}

// active returns a caller that may do something.
func (s *snapshot) active(at ref) (*Caller, error) {
	c := s.callers[at]
	switch {
	case c == nil || c.deleted:
		return nil, refusal("no caller %q", at.name)
	case c.Disabled:
		return nil, refusal("caller %q is disabled", c.ID)
	case c.Tenant != "" && (s.tenants[c.Tenant] == nil || s.tenants[c.Tenant].Disabled):
		return nil, refusal("tenant %q is disabled", c.Tenant)
	}
	return c, nil
}

func refusal(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}

// touch notes a use, to the second: a busy credential is not written each time.
func (k *Credential) touch(now time.Time) {
	if at := now.UnixMicro(); at-k.used.Load() >= int64(time.Second/time.Microsecond) {
		k.used.Store(at)
	}
}
