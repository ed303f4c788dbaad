// Package doctor says why a signature does not verify.
//
// [Diagnose] takes a request as the verifier saw it, the scheme, the secrets
// that could apply, and the time, and looks for the change that explains the
// signature that was received: of the body, the secret, the URL, the signed
// string, the text of the signature, the algorithm or the clock. A cause is
// proven only if it reproduces the received value; a forgery ends as unknown.
//
// It never makes a request acceptable, and nothing that verifies may use it.
// Its answers are for operators: they name secrets, never show them, and must
// not reach the sender of the request. The causes are described in
// docs/use/doctor.md.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// Verdict is the kind of answer.
type Verdict string

// The verdicts.
const (
	Proven   Verdict = "proven"       // a hypothesis reproduces the received value
	Fine     Verdict = "request_fine" // the request verifies: the receiver's own code is at fault
	Time     Verdict = "time"         // the MAC is right, the time is not
	Evidence Verdict = "evidence"     // facts speak, but nothing is reproduced
	Unknown  Verdict = "unknown"      // nothing explains the value: unknown secret, altered content or forgery
)

// Secret is one secret that may have signed.
type Secret struct {
	Name    string // shown in the answer
	Env     string // live, test and so on; "" if not known
	Kind    string // webhook, api-key and so on; "" if not known
	Version int    // 0 if not known
	Bytes   secret.Bytes
}

// Input is everything that a diagnosis looks at.
type Input struct {
	Definition *scheme.Definition
	Params     scheme.Params
	Message    sealwright.Message
	Secrets    []Secret // the first is the configured one
	KeyID      string   // under which the configured secret is known; "" if any
	Now        time.Time
	PublicURL  string               // whole URL by which the sender knows the receiver; "" if not known
	KnownHosts []string             // hosts that are the receiver's own
	Others     []*scheme.Definition // schemes that the sender may use instead

	MaxHypotheses int           // 0 means 120,000
	MaxTime       time.Duration // 0 means 5 s
	MaxMemory     int           // bytes of bodies and signed strings that are kept at a time; 0 means 32 MiB
	MaxBody       int           // bytes; of a larger body only facts are looked at; 0 means 256 KiB
}

// Diagnosis is the answer.
type Diagnosis struct {
	Verdict     Verdict  `json:"verdict"`
	Cause       string   `json:"cause,omitempty"`  // of the taxonomy, such as body.newlines
	Cause2      string   `json:"cause2,omitempty"` // second fault, where two together explain the value
	Secret      string   `json:"secret,omitempty"` // name of the secret that signed
	Danger      bool     `json:"danger"`           // the received value does not protect the message, or a secret is exposed
	Explanation string   `json:"explanation"`
	Fix         string   `json:"fix,omitempty"`
	Notes       []string `json:"notes,omitempty"` // facts that need no secret
	Hypotheses  int      `json:"hypotheses"`      // how many were tried
	Secrets     int      `json:"secrets"`         // with how many secrets
	Diff        *Diff    `json:"diff,omitempty"`  // between what was signed and what was seen
}

const (
	defaultHypotheses = 120_000
	defaultTime       = 5 * time.Second
	defaultMemory     = 32 << 20
	defaultBody       = 256 << 10
)

// Diagnose looks for the cause. It stops when ctx is done and then says what it
// found until there.
func Diagnose(ctx context.Context, in Input) Diagnosis {
	if in.MaxHypotheses == 0 {
		in.MaxHypotheses = defaultHypotheses
	}
	if in.MaxTime == 0 {
		in.MaxTime = defaultTime
	}
	if in.MaxMemory == 0 {
		in.MaxMemory = defaultMemory
	}
	if in.MaxBody == 0 {
		in.MaxBody = defaultBody
	}
	ctx, cancel := context.WithTimeout(ctx, in.MaxTime)
	defer cancel()
	s := &search{ctx: ctx, in: &in}
	d := s.diagnose()
	d.Hypotheses, d.Secrets = s.tried, len(in.Secrets)
	d.Notes = s.notes
	if d.Fix == "" {
		d.Fix = fix(d.Cause)
		if second := fix(d.Cause2); second != "" && d.Fix != second {
			d.Fix += "\n" + second
		}
	}
	return d
}

func (s *search) diagnose() Diagnosis {
	if s.in.Definition == nil || len(s.in.Secrets) == 0 {
		return Diagnosis{Verdict: Unknown, Explanation: "no scheme or no secret was given"}
	}
	s.lookAtFacts()
	if d, ok := s.strict(); ok {
		return d
	}
	if len(s.in.Message.Body) > s.in.MaxBody {
		return s.rest(fmt.Sprintf("the body has more than %d bytes, so only facts were looked at", s.in.MaxBody))
	}
	if d, ok := s.leak(); ok {
		return d
	}
	hint := s.rest
	for _, look := range []func() (Diagnosis, bool){s.lookAtParts, s.lookAtSchemes, s.lookAtPairs, s.lookAtWhole, s.lookAtStyles} {
		d, ok := look()
		if ok && (d.Verdict != Evidence || d.Secret != "" && d.Cause2 == "") { // a known secret and no stack of changes
			return d
		}
		if ok {
			hint = func(string) Diagnosis { return d }
		}
	}
	return hint("")
}

// rest is the answer where nothing was reproduced.
func (s *search) rest(limit string) Diagnosis {
	if len(s.evidence) > 0 {
		e := s.evidence[0]
		return Diagnosis{Verdict: Evidence, Cause: e.cause, Danger: e.danger, Explanation: "Nothing reproduces the received value, but: " + e.text + "."}
	}
	text := fmt.Sprintf("None of %d hypotheses with %d secrets reproduces the received value: it was made with an unknown secret, over altered content, or is a forgery.",
		s.tried, len(s.in.Secrets))
	if limit != "" {
		text = "Unknown: " + limit + "."
	} else if s.ctx.Err() != nil {
		text = "The search was stopped. " + text
	} else if s.tried >= s.in.MaxHypotheses {
		text = "The search reached its bound. " + text
	}
	return Diagnosis{Verdict: Unknown, Explanation: text}
}

// search is one diagnosis in progress.
type search struct {
	ctx      context.Context
	in       *Input
	tried    int
	stopped  bool   // ctx is done
	parts    *parts // nil where the parts of the message cannot be varied
	notes    []string
	evidence []evidence
}

type evidence struct {
	cause, text string
	danger      bool
}

// more counts one hypothesis and reports whether the search may go on.
func (s *search) more() bool {
	s.tried++
	if s.tried%256 == 0 && s.ctx.Err() != nil {
		s.stopped = true
	}
	return s.tried < s.in.MaxHypotheses && !s.stopped
}

// params returns the parameters with the public URL, where the scheme has one.
func (s *search) params() scheme.Params {
	p := scheme.Params{}
	for k, v := range s.in.Params {
		p[k] = v
	}
	if _, ok := s.in.Definition.Params["public_url"]; ok && s.in.PublicURL != "" && len(p["public_url"]) == 0 {
		p["public_url"] = []string{s.in.PublicURL}
	}
	return p
}

// ring returns a ring of one secret, under the configured key ID or, where none
// is configured, under the one that the message names.
func (s *search) ring(sch sealwright.Scheme, sec secret.Bytes) (*keyring.Ring, error) {
	id := s.in.KeyID
	if id == "" {
		var c sealwright.Claim
		if err := sch.Parse(&s.in.Message, &c); err == nil || c.KeyID != "" {
			id = c.KeyID
		}
	}
	return keyring.New(keyring.Key{ID: id, Version: 1, Secret: sec})
}

// anyTime is a window that no message falls out of.
const anyTime = time.Duration(1<<63 - 1)

// strict verifies as the verifier does, and again whatever the time.
func (s *search) strict() (Diagnosis, bool) {
	sch, err := s.in.Definition.New(s.params())
	if err != nil {
		return Diagnosis{Verdict: Unknown, Explanation: "the scheme cannot be used with these parameters: " + err.Error()}, true
	}
	ring, err := s.ring(sch, s.in.Secrets[0].Bytes)
	if err != nil {
		return Diagnosis{}, false // an empty secret: the search goes on
	}
	v := sealwright.Verifier{Scheme: sch, Ring: ring}
	s.tried++
	verdict, err := v.Verify(s.in.Message, s.in.Now)
	if err == nil {
		text := "The request verifies with the secret " + quote(s.in.Secrets[0].Name) + ": the fault is in the receiver's own code. Compare the bytes that it hashes with the raw body: frameworks parse it before handlers see it."
		return Diagnosis{Verdict: Fine, Secret: s.in.Secrets[0].Name, Explanation: text, Fix: fix("body.json_reserialized")}, true
	}
	if !errors.Is(err, sealwright.ErrStale) && !errors.Is(err, sealwright.ErrFuture) {
		return Diagnosis{}, false
	}
	loose := sealwright.Verifier{Scheme: sch, Ring: ring, Past: anyTime, Future: anyTime}
	m := s.in.Message
	s.tried++
	if _, err := loose.Verify(m, s.in.Now); err != nil {
		if verdict.Expires.IsZero() {
			return Diagnosis{}, false
		}
		if _, err := loose.Verify(m, verdict.Expires); err != nil {
			return Diagnosis{}, false
		}
	}
	return s.timeFault(s.in.Secrets[0].Name, verdict.At, ""), true
}

func quote(name string) string {
	if name == "" {
		return "(unnamed)"
	}
	return fmt.Sprintf("%q", name)
}

// timeFault describes a message whose MAC is right but whose time is not. text
// is the time as sent, where it is not even in the declared unit.
func (s *search) timeFault(name string, at time.Time, text string) Diagnosis {
	d := Diagnosis{Verdict: Time, Secret: name, Cause: "time.clock_skew"}
	if unit, ok := wrongUnit(text, at, s.in.Now); ok {
		d.Cause = "time.unit"
		d.Explanation = "The MAC is right, but the time is written in " + unit + "."
		return d
	}
	age := s.in.Now.Sub(at)
	where := "ago"
	if age < 0 {
		age, where = -age, "ahead of the verifier's clock"
	}
	d.Explanation = fmt.Sprintf("The MAC is right, but the message was signed %v %s, outside the window.", age.Round(time.Millisecond), where)
	switch {
	case age%(time.Hour) < 2*time.Minute && age < 15*time.Hour && age > 50*time.Minute,
		age%(30*time.Minute) < time.Minute && age < 15*time.Hour && age > 25*time.Minute:
		d.Explanation += " The difference is a multiple of half an hour: a time zone is likely."
	case age > time.Hour && where == "ago":
		d.Explanation += " A retry or a replay with the original signature looks like this."
	}
	return d
}

// wrongUnit reports whether a Unix time makes sense only in another unit.
func wrongUnit(text string, at, now time.Time) (string, bool) {
	digits := strings.TrimLeft(text, "0123456789") == "" && text != ""
	units := map[int]string{10: "seconds", 13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}
	if digits {
		if u, ok := units[len(text)]; ok && (at.IsZero() || at.Year() > now.Year()+50 || at.Year() < 2000) {
			return u, true
		}
	}
	if !at.IsZero() && at.Unix() < now.Unix()/900 && at.Unix() > 0 && text == "" {
		return "seconds instead of milliseconds", true
	}
	return "", false
}
