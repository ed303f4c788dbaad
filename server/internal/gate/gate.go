package gate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Nonces keeps the highest nonce of each key, for schemes whose nonces only
// increase.
type Nonces interface {
	// Raise stores value and returns true, or returns false and stores nothing if
	// the stored value of this tenant, key ID and profile is not below it. Of
	// any number of calls with one value at most one returns true. What was
	// stored survives the end of the process. After an error it may be stored or
	// not.
	Raise(ctx context.Context, tenant, keyID, profile string, value int64) (ok bool, err error)
}

// Rule says how a profile is held against replay. The zero value refuses
// everything.
type Rule struct {
	Profile    string        // names the wire format; nonces of one profile mean nothing in another
	Past       time.Duration // how old the signed time of a message may be, as its verifier has it
	Keep       time.Duration // how long a message without signed time is remembered; 0 refuses those
	Increasing bool          // the nonce is a number above all earlier ones of the key; then nothing else counts
}

// Message is what a verification found. Its tag must have been verified.
type Message struct {
	Tenant  string
	KeyID   string    // of the key that matched
	Nonce   string    // signed; empty if the scheme has none
	Tag     []byte    // that matched, decoded; stands for the message if it has no nonce
	At      time.Time // signed time; zero if the scheme has none
	Expires time.Time // signed end; zero if the scheme has none
}

// Waits of the Retry-After header field.
const (
	waitFull        = 20 * time.Second // about what a bucket of the default window lives
	waitBarred      = 5 * time.Second
	waitUnavailable = time.Second
)

// Refusal says why a message that verified is not accepted. Its kind is
// [fault.Conflict] for a replay: the sender must not send the message again. It
// is [fault.Unavailable] if a new message may pass later, and [fault.Denied] if
// the rule can never let it pass.
type Refusal struct {
	Reason     string        // in a word for logs and metrics
	RetryAfter time.Duration // 0 if to wait does not help
	Err        *fault.Error  // with the kind, and a text for the caller
}

// Error implements error. It is for the log.
func (r *Refusal) Error() string { return r.Reason + ": " + r.Err.Error() }

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// Reasons beside those of [replay.Outcome].
const (
	ReasonNotIncreasing = "not-increasing"
	ReasonNonce         = "nonce-missing"
	ReasonUnavailable   = "unavailable"
)

// Gate decides with what was seen before. Its fields must not change once Check
// was called; it may be used by many goroutines.
type Gate struct {
	Key    *replay.Key // of the IDs; the same on all nodes and in all runs
	Claims Claims
	Nonces Nonces // nil refuses profiles with increasing nonces
}

// Check uses up m, whose tag was verified at now. It returns nil if nothing
// like it was seen before, and a [*Refusal] otherwise. A message is used up even
// if what it asks for fails: its sender signs another one.
func (g *Gate) Check(ctx context.Context, now time.Time, rule Rule, m Message) error {
	if rule.Profile == "" || m.Nonce == "" && len(m.Tag) == 0 {
		return refuse(ReasonNonce, fault.Denied, "message has nothing that it can be known by", 0, nil)
	}
	if rule.Increasing {
		return g.raise(ctx, rule, m)
	}
	c, ok := g.claim(now, rule, m)
	if !ok {
		return refusal(replay.Outside)
	}
	outcome, err := g.Claims.Claim(ctx, now, c)
	if err != nil {
		return refuse(ReasonUnavailable, fault.Unavailable, "it is not known whether the message was seen before", waitUnavailable, err)
	}
	return refusal(outcome)
}

// claim returns what m uses up. ok is false if it would be for no known time.
func (g *Gate) claim(now time.Time, rule Rule, m Message) (c Claim, ok bool) {
	kind, once := "nonce", m.Nonce
	if once == "" {
		kind, once = "tag", string(m.Tag)
	}
	c = Claim{
		ID:    g.Key.ID(m.Tenant, rule.Profile, m.KeyID, kind, once),
		Owner: max(g.Key.ID(m.Tenant, m.KeyID).Short(), 1), // 0 would be nobody
		At:    m.At,
	}
	switch {
	case !m.At.IsZero():
		c.Until = m.At.Add(rule.Past)
	case !m.Expires.IsZero():
		c.Until = m.Expires
	case rule.Keep > 0:
		c.Until = now.Add(rule.Keep)
	default:
		return Claim{}, false
	}
	return c, true
}

// raise lets m pass if its nonce is above all earlier ones of its key.
func (g *Gate) raise(ctx context.Context, rule Rule, m Message) error {
	value, err := parseNonce(m.Nonce)
	if err != nil || g.Nonces == nil {
		return refuse(ReasonNonce, fault.Denied, "nonce is not a number that can be compared", 0, err)
	}
	ok, err := g.Nonces.Raise(ctx, m.Tenant, m.KeyID, rule.Profile, value)
	if err != nil {
		return refuse(ReasonUnavailable, fault.Unavailable, "it is not known whether the message was seen before", waitUnavailable, err)
	}
	if !ok {
		return refuse(ReasonNotIncreasing, fault.Conflict, "nonce is not above the last one", 0, nil)
	}
	return nil
}

// parseNonce reads a number of digits only, up to 2⁶³ − 1, which is in the year
// 2262 as nanoseconds since 1970.
func parseNonce(text string) (int64, error) {
	if len(text) == 0 || len(text) > 19 {
		return 0, fmt.Errorf("got %d characters, want 1 to 19 digits", len(text))
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, errors.New("got another character, want digits")
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("got a number above %d", int64(math.MaxInt64))
	}
	return int64(n), nil
}

// refusal returns what an outcome means, nil for [replay.Fresh] only.
func refusal(o replay.Outcome) error {
	switch o {
	case replay.Fresh:
		return nil
	case replay.Replayed:
		return refuse(o.String(), fault.Conflict, "message was used before", 0, nil)
	case replay.Full, replay.FullShare:
		return refuse(o.String(), fault.Unavailable, "no more messages can be remembered for now", waitFull, nil)
	case replay.Barred:
		return refuse(o.String(), fault.Unavailable, "message may have been used before a restart: sign a new one", waitBarred, nil)
	case replay.Outside:
		return refuse(o.String(), fault.Denied, "message cannot be remembered for as long as it is valid", 0, nil)
	}
	return refuse(o.String(), fault.Internal, "outcome is unknown", 0, nil)
}

func refuse(reason string, kind fault.Kind, text string, wait time.Duration, cause error) error {
	err := fault.New(kind, "%s", text)
	if cause != nil {
		err = err.Because(cause)
	}
	return &Refusal{Reason: reason, RetryAfter: wait, Err: err}
}
