package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// ReasonRevoked is the reason for a tag by a revoked version: somebody signs
// with a secret that is known to others.
const ReasonRevoked sealwright.Reason = "revoked-key"

// Claim is the tag or the signature that comes with a message, decoded.
type Claim struct {
	Tag       []byte // nil means that there is a signature; of the size of the algorithm otherwise
	Signature api.Signature
}

// TagClaim returns the claim of a tag, which may be the first part of a buffer.
// One of another size than that of the algorithm is [sealwright.ErrMalformed],
// none at all [sealwright.ErrMissing].
func (k *Key) TagClaim(tag []byte) (Claim, error) {
	switch want := k.Algorithm.Size(); {
	case len(tag) == 0:
		return Claim{}, sealwright.ErrMissing
	case len(tag) != want:
		return Claim{}, sealwright.Refusef(sealwright.ErrMalformed, "tag has %d bytes, want %d", len(tag), want)
	}
	return Claim{Tag: tag}, nil
}

// SignatureClaim returns the claim of a signature in the standard form. A text
// that is none is [sealwright.ErrMalformed], an empty one
// [sealwright.ErrMissing].
func SignatureClaim(text string) (Claim, error) {
	if text == "" {
		return Claim{}, sealwright.ErrMissing
	}
	s, err := api.ParseSignature(text)
	if err != nil {
		return Claim{}, sealwright.Refusef(sealwright.ErrMalformed, "%v", err)
	}
	return Claim{Signature: s}, nil
}

// Verdict is the result of a verification.
type Verdict struct {
	Valid   bool
	Reason  sealwright.Reason // empty if valid
	Detail  string            // for who verifies
	Version int               // that matched; as claimed if none did; 0 if none was claimed
}

// Refused returns the verdict that err is about a message. The version is the
// one it claims, 0 for none.
func Refused(version int, err error) Verdict {
	reason := sealwright.ReasonOf(err)
	if errors.Is(err, ErrRevoked) {
		reason = ReasonRevoked
	}
	return Verdict{Reason: reason, Detail: err.Error(), Version: version}
}

// revokedError is the refusal of a message by a revoked version: it says no more
// than its text, and wraps [sealwright.ErrUnknownKey] and [ErrRevoked].
type revokedError struct{ text string }

func (e revokedError) Error() string { return e.text }

func (e revokedError) Unwrap() []error { return []error{sealwright.ErrUnknownKey, ErrRevoked} }

func (k *Key) revokedVerdict(version int) Verdict {
	return Refused(version, revokedError{fmt.Sprintf("version %d of key %q is revoked", version, k.Name)})
}

// Make appends the tag of message to dst, made with the version that signs: for
// a native key that of its digest, for which it waits.
func (k *Key) Make(ctx context.Context, dst, message []byte) (tag []byte, version int, err error) {
	if k.Native() {
		tag, version, err = k.SignNative(ctx, sha256.Sum256(message))
		return append(dst, tag...), version, err
	}
	return k.Sign(dst, message)
}

// Check verifies message. A signature that names another key, version or
// algorithm costs as much as a wrong tag. An error, of kind
// [fault.Unavailable] or of the configuration, means that it is not known
// whether the message is valid.
func (k *Key) Check(ctx context.Context, c Claim, message []byte) (Verdict, error) {
	if k.Native() {
		return k.checkDigest(ctx, c, sha256.Sum256(message))
	}
	if c.Tag != nil {
		if version, ok := k.Verify(c.Tag, 0, message); ok {
			return Verdict{Valid: true, Version: version}, nil
		}
		if version, ok := k.RevokedBy(c.Tag, message); ok {
			return k.revokedVerdict(version), nil
		}
		return Refused(0, sealwright.ErrMismatch), k.Unsure()
	}
	err := k.VerifySignature(c.Signature, message)
	if err == nil {
		return Verdict{Valid: true, Version: c.Signature.Version}, nil
	}
	if fault.KindOf(err) == fault.Unavailable {
		return Verdict{}, err
	}
	if sealwright.ReasonOf(err) != sealwright.ReasonMismatch {
		k.Verify(c.Signature.Tag, 0, message) // as much work as for a wrong tag
	}
	return Refused(c.Signature.Version, err), nil
}

// checkDigest verifies the message with this SHA-256 for a native key.
func (k *Key) checkDigest(ctx context.Context, c Claim, sum [sha256.Size]byte) (Verdict, error) {
	if c.Tag == nil {
		err := k.VerifyNativeSignature(ctx, c.Signature, sum)
		switch {
		case err == nil:
			return Verdict{Valid: true, Version: c.Signature.Version}, nil
		case errors.Is(err, sealwright.ErrMismatch), errors.Is(err, sealwright.ErrUnknownKey), errors.Is(err, sealwright.ErrPolicy):
			return Refused(c.Signature.Version, err), nil
		}
		return Verdict{}, err
	}
	version, ok, err := k.VerifyNative(ctx, c.Tag, sum)
	switch {
	case err != nil:
		return Verdict{}, err
	case ok:
		return Verdict{Valid: true, Version: version}, nil
	}
	if version, ok := k.NativeRevokedBy(ctx, c.Tag, sum); ok {
		return k.revokedVerdict(version), nil
	}
	return Refused(0, sealwright.ErrMismatch), k.Unsure()
}

// Stream signs or verifies a message that comes in parts, of any size, in
// constant memory. Get one from [Key.SignStream] or [Key.CheckStream], write
// the message to it, and end it with Sign or Check; Close it in any case. One
// goroutine uses it.
type Stream struct {
	key        *Key
	claim      Claim
	refused    error // why the signature is refused whatever the message is
	candidates []candidate
	digest     hash.Hash // of a native key
}

// candidate is a version that signs, or that may have made a tag.
type candidate struct {
	version int
	state   *mac.State
	revoked bool // it only says why the tag is refused
}

// SignStream begins a message to sign. The error is that of [Key.MAC].
func (k *Key) SignStream() (*Stream, error) {
	s := &Stream{key: k}
	if k.Native() {
		s.digest = sha256.New()
		return s, nil
	}
	m, err := k.MAC(0)
	if err != nil {
		return nil, err
	}
	s.add(k.Signing, m, false)
	return s, nil
}

// CheckStream begins a message to verify. The error is that of [Key.Check].
func (k *Key) CheckStream(c Claim) (*Stream, error) {
	s := &Stream{key: k, claim: c}
	if k.Native() {
		s.digest = sha256.New()
		return s, nil
	}
	if c.Tag == nil {
		m, err := k.MACFor(c.Signature)
		if err == nil {
			s.add(c.Signature.Version, m, false)
			return s, nil
		}
		if sealwright.ReasonOf(err) == sealwright.ReasonConfig {
			return nil, err
		}
		s.refused = err // the others make it cost as much as a wrong tag
	}
	if err := s.all(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// all adds the versions that verify, and those that are revoked.
func (s *Stream) all() error {
	var space [keyring.MaxCandidates]*keyring.Key
	for _, v := range s.key.Ring.AppendCandidates(space[:0], "", s.key.now()) {
		m, err := s.key.MAC(v.Version)
		if fault.KindOf(err) == fault.NotFound {
			continue // has just ended
		}
		if err != nil {
			return err
		}
		s.add(v.Version, m, false)
	}
	for _, v := range s.key.RevokedVersions() {
		m, err := s.key.RevokedMAC(v)
		if err != nil {
			return err
		}
		s.add(v.Version, m, true)
	}
	return nil
}

func (s *Stream) add(version int, m *mac.Key, revoked bool) {
	s.candidates = append(s.candidates, candidate{version, m.State(), revoked})
}

// Write takes the next part of the message. It returns no error.
func (s *Stream) Write(part []byte) (int, error) {
	if s.digest != nil {
		return s.digest.Write(part)
	}
	for _, c := range s.candidates {
		_, _ = c.state.Write(part) // a MAC takes everything
	}
	return len(part), nil
}

// latest returns the key as it is now: while a message comes in, which can take
// hours, the key may be deleted and its versions revoked.
func (s *Stream) latest() (*Key, error) {
	if s.key.home == nil {
		return s.key, nil
	}
	return s.key.home.Get(s.key.Tenant, s.key.Name)
}

// Sign appends the tag of the message to dst, like [Key.Make]. The error is of
// kind [fault.NotFound] also if the key or its version ended meanwhile.
func (s *Stream) Sign(ctx context.Context, dst []byte) (tag []byte, version int, err error) {
	k, err := s.latest()
	if err != nil {
		return nil, 0, err
	}
	if s.digest != nil {
		tag, version, err = k.SignNative(ctx, [sha256.Size]byte(s.digest.Sum(nil)))
		return append(dst, tag...), version, err
	}
	c := s.candidates[0]
	if _, err := k.MAC(c.version); err != nil {
		return nil, 0, err
	}
	if tag, err = c.state.Sum(dst); err != nil {
		return nil, 0, err
	}
	s.key.Used(c.version)
	return tag, c.version, nil
}

// Check says whether the message is valid, like [Key.Check], by what the key is
// at the end of the message. The error is that of [Service.Get] if it ended.
func (s *Stream) Check(ctx context.Context) (Verdict, error) {
	k, err := s.latest()
	if err != nil {
		return Verdict{}, err
	}
	if s.digest != nil {
		return k.checkDigest(ctx, s.claim, [sha256.Size]byte(s.digest.Sum(nil)))
	}
	tag := s.claim.Tag
	if tag == nil {
		tag = s.claim.Signature.Tag
	}
	v := Refused(s.claim.Signature.Version, sealwright.ErrMismatch)
	for _, c := range s.candidates {
		switch ok := c.state.Verify(tag); {
		case !ok || v.Valid:
		case c.revoked:
			v = s.key.revokedVerdict(c.version)
		default:
			v = Verdict{Valid: true, Version: c.version}
		}
	}
	switch {
	case s.refused != nil:
		return Refused(s.claim.Signature.Version, s.refused), nil
	case v.Valid:
		_, err := k.MAC(v.Version)
		switch {
		case errors.Is(err, ErrRevoked):
			return k.revokedVerdict(v.Version), nil
		case fault.KindOf(err) == fault.NotFound:
			return Refused(v.Version, unknown(err)), nil
		case err != nil:
			return Verdict{}, err
		}
		s.key.Used(v.Version)
	case s.claim.Tag != nil && v.Reason == sealwright.ReasonMismatch:
		return v, s.key.Unsure()
	}
	return v, nil
}

// Close gives back what the stream holds.
func (s *Stream) Close() {
	for _, c := range s.candidates {
		c.state.Release()
	}
	s.candidates = nil
}
