package sealwright

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// Verifier checks messages of one scheme against a ring of keys. Its fields
// must not change once Verify was called; it may be used by many goroutines.
type Verifier struct {
	Scheme Scheme
	Ring   *keyring.Ring

	Past    time.Duration // how old a message may be; 0 means what the scheme says
	Future  time.Duration // how far ahead its time may be; 0 means what the scheme says
	Require Coverage      // what the signature must protect; zero demands nothing

	work    sync.Pool // of *work
	once    sync.Once
	unknown *keyring.Key // see stranger
}

// work is what one verification or signing needs. It is reused, so that the
// message and the claim cost no allocation.
type work struct {
	m       Message
	c       Claim
	matched Tag // of match
}

func getWork(pool *sync.Pool) *work {
	if w, _ := pool.Get().(*work); w != nil {
		return w
	}
	return new(work)
}

func putWork(pool *sync.Pool, w *work) {
	w.m, w.matched = Message{}, Tag{}
	w.c.reset()
	pool.Put(w)
}

// Verdict says whether a message is authentic and what its signature is worth.
type Verdict struct {
	Valid  bool
	Reason Reason // why not; empty if valid
	Detail string // the reason with its place in the message, for operators only

	Scheme    string
	KeyID     string // of the key that matched; as claimed if none did
	Version   int    // of the key that matched
	Algorithm mac.Algorithm
	Covers    Coverage
	At        time.Time     // signed time; zero if the scheme carries none
	Age       time.Duration // now − At; negative if At is ahead of now
	Expires   time.Time     // zero if the scheme carries none
	Nonce     string        // signed nonce or message ID
	Tag       Tag           // that matched; what a message can be known by again if it has no nonce
	Rendering string        // which alternative form of the signed bytes matched
	Warnings  []string      // weaknesses of the scheme or the key
}

// MarshalJSON writes the verdict as the command line and the API show it.
func (v Verdict) MarshalJSON() ([]byte, error) {
	out := struct {
		Valid     bool       `json:"valid"`
		Reason    Reason     `json:"reason,omitempty"`
		Detail    string     `json:"detail,omitempty"`
		Scheme    string     `json:"scheme"`
		KeyID     string     `json:"key_id,omitempty"`
		Version   int        `json:"version,omitempty"`
		Algorithm string     `json:"algorithm,omitempty"`
		Covers    Coverage   `json:"covers"`
		At        *time.Time `json:"time,omitempty"`
		Age       *float64   `json:"age_seconds,omitempty"`
		Skew      *float64   `json:"skew_seconds,omitempty"`
		Expires   *time.Time `json:"expires,omitempty"`
		Nonce     string     `json:"nonce,omitempty"`
		Rendering string     `json:"rendering,omitempty"`
		Warnings  []string   `json:"warnings,omitempty"`
	}{
		Valid: v.Valid, Reason: v.Reason, Detail: v.Detail, Scheme: v.Scheme, KeyID: v.KeyID, Version: v.Version,
		Covers: v.Covers, Nonce: v.Nonce, Rendering: v.Rendering, Warnings: v.Warnings,
	}
	if v.Algorithm.Valid() {
		out.Algorithm = v.Algorithm.String()
	}
	if !v.At.IsZero() {
		at, age, skew := v.At.UTC(), v.Age.Seconds(), v.Skew().Seconds()
		out.At, out.Age, out.Skew = &at, &age, &skew
	}
	if !v.Expires.IsZero() {
		e := v.Expires.UTC()
		out.Expires = &e
	}
	return json.Marshal(out)
}

// Skew returns how far the signed time is ahead of the verifier's clock, 0 if
// it is not.
func (v Verdict) Skew() time.Duration { return max(0, -max(v.Age, -math.MaxInt64)) }

// strangerSecret stands in for the secret of a key that is not known. It is a
// valid secret in every form that schemes read.
const strangerSecret = "00000000000000000000000000000000" + "00000000000000000000000000000000"

// stranger returns a key for messages of unknown keys, so that they cost what a
// wrong tag costs: it is in a ring, and so its MAC keys are kept like others.
func (v *Verifier) stranger() *keyring.Key {
	v.once.Do(func() {
		ring := keyring.Must(keyring.Key{Secret: secret.FromString(strangerSecret)})
		v.unknown = ring.AppendCandidates(nil, "", time.Time{})[0]
	})
	return v.unknown
}

// Verify checks m at the time now against the keys of v.Ring.
//
// The checks are made in the order form, time, key, tag, digest; the first
// that fails is the reason. The error is nil exactly if the verdict is valid,
// and wraps one of the sentinels of this package otherwise.
func (v *Verifier) Verify(m Message, now time.Time) (Verdict, error) {
	return v.VerifyRing(v.Ring, m, now)
}

// VerifyRing is [Verifier.Verify] with another ring of keys.
func (v *Verifier) VerifyRing(ring *keyring.Ring, m Message, now time.Time) (verdict Verdict, err error) {
	if v.Scheme == nil {
		return refused(Verdict{}, Refusef(ErrConfig, "no scheme"))
	}
	w := getWork(&v.work)
	defer putWork(&v.work, w)
	w.m = m
	c := &w.c
	verdict.Scheme = v.Scheme.Name()
	if s, ok := v.Scheme.(Warner); ok {
		verdict.Warnings = s.Warnings()
	}
	if ring == nil || ring.Len() == 0 {
		return refused(verdict, Refusef(ErrConfig, "no keys"))
	}
	if err := v.Scheme.Parse(&w.m, c); err != nil {
		return refused(verdict, err)
	}
	verdict.KeyID, verdict.Covers, verdict.Nonce = c.KeyID, c.Covers, c.Nonce
	verdict.At, verdict.Expires = c.At, c.Expires
	if c.count == 0 {
		return refused(verdict, ErrMissing)
	}
	if !v.Require.isZero() {
		if missing := c.Covers.Missing(v.Require); missing != nil {
			return refused(verdict, Refusef(ErrPolicy, "signature does not cover %v", missing))
		}
	}
	if err := v.checkTime(c, now, &verdict); err != nil {
		return refused(verdict, err)
	}

	var space [keyring.MaxCandidates]*keyring.Key
	keys := ring.AppendCandidates(space[:0], c.KeyID, now)
	if len(keys) == 0 {
		_, _, err := v.match(w, v.stranger())
		if err != nil && !errors.Is(err, ErrConfig) {
			return refused(verdict, err)
		}
		return refused(verdict, Refusef(ErrUnknownKey, "key ID %q", c.KeyID))
	}
	for _, k := range keys {
		n, algorithm, err := v.match(w, k)
		if err != nil {
			return refused(verdict, err)
		}
		if n < 0 {
			continue
		}
		verdict.KeyID, verdict.Version, verdict.Algorithm, verdict.Tag = k.ID, k.Version, algorithm, w.matched
		if len(c.Renderings) > 1 {
			verdict.Rendering = c.Renderings[n]
		}
		if k.Secret.Len() < shortSecret {
			verdict.Warnings = append(verdict.Warnings[:len(verdict.Warnings):len(verdict.Warnings)],
				"secret is shorter than 16 bytes")
		}
		if s, ok := v.Scheme.(Checker); ok {
			if err := s.Check(&w.m, c); err != nil {
				return refused(verdict, err)
			}
		}
		verdict.Valid = true
		return verdict, nil
	}
	return refused(verdict, ErrMismatch)
}

// shortSecret is the length in bytes below which the verdict warns.
const shortSecret = 16

func refused(v Verdict, err error) (Verdict, error) {
	v.Valid, v.Reason, v.Detail = false, ReasonOf(err), err.Error()
	return v, err
}

func (v *Verifier) checkTime(c *Claim, now time.Time, verdict *Verdict) error {
	if !c.At.IsZero() {
		past, future := c.Past, c.Future
		if v.Past != 0 {
			past = v.Past
		}
		if v.Future != 0 {
			future = v.Future
		}
		verdict.Age = now.Sub(c.At)
		if verdict.Age > past {
			return Refusef(ErrStale, "signed %v ago, allowed are %v", verdict.Age.Round(time.Millisecond), past)
		}
		// Differences of instants saturate, and -Age would overflow for a time
		// more than 292 years ahead.
		if ahead := -max(verdict.Age, -math.MaxInt64); ahead > future {
			return Refusef(ErrFuture, "signed %v ahead of now, allowed are %v", ahead.Round(time.Millisecond), future)
		}
	}
	if c.Expires.IsZero() {
		if c.At.IsZero() && c.Covers.Time { // the zero time stands for none, not for a time that is always fresh
			return Refusef(ErrStale, "signed at no time")
		}
		return nil
	}
	left, ahead := c.Expires.Sub(now), c.Ahead
	if ahead != 0 && v.Future != 0 {
		ahead = v.Future
	}
	if left < 0 {
		return Refusef(ErrStale, "expired %v ago", -left)
	}
	if ahead != 0 && left > ahead {
		return Refusef(ErrFuture, "expires %v ahead of now, allowed are %v", left, ahead)
	}
	return nil
}

// Tag is a tag that matched, decoded, so that all ways to write it are one. It
// is not printed: with the message it is as good as a signature. The zero value
// is none.
type Tag struct {
	bytes [mac.MaxSize]byte
	size  uint8
}

// Bytes returns a copy of the tag, to be remembered in a form that does not show
// it. It is empty for the zero value.
func (t Tag) Bytes() []byte { return bytes.Clone(t.bytes[:t.size]) }

// Format prints that there is a tag, and nothing of it.
func (t Tag) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[tag]") }

// match returns the first rendering under which a tag of the claim is the tag
// of the message by k, or -1. It is the only place where tags are compared.
func (v *Verifier) match(w *work, k *keyring.Key) (int, mac.Algorithm, error) {
	w.c.Key = k
	key, err := v.Scheme.Key(k, &w.c)
	if err != nil {
		return -1, 0, Refusef(ErrConfig, "key %q version %d: %v", k.ID, k.Version, err)
	}
	size := key.Algorithm().Size()
	if t, ok := v.Scheme.(Truncated); ok {
		size = t.TagSize()
	}
	found := -1
	state := key.State()
	defer state.Release()
	for n := range max(1, len(w.c.Renderings)) {
		if n > 0 {
			state.Reset()
		}
		if err := v.Scheme.Write(state, &w.m, &w.c, n); err != nil {
			return -1, 0, err
		}
		for i := range w.c.count {
			t := &w.c.tags[i]
			if state.VerifyTruncated(t.bytes[:t.size], size) && found < 0 && (t.owner == "" || t.owner == k.ID) {
				found = n
				w.matched = Tag{bytes: t.bytes, size: uint8(t.size)}
			}
		}
	}
	return found, key.Algorithm(), nil
}
