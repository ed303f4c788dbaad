// Package operation describes the operations of the API as they ended, for the
// log and the metrics. All adapters report in these words, so that an operation
// looks the same whichever protocol it came by.
package operation

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/api"
)

// Outcomes of an operation.
const (
	OK      = "ok"
	Valid   = "valid"
	Invalid = "invalid"
	Refused = "refused" // the caller has to change something, or may not do it
	Error   = "error"   // the server could not do it
)

// Report is one operation as it ended. It holds no secret, tag or message. All
// texts but Key, Asked, Scheme, Metadata and what the policy says stand in the
// program; the scheme is cut to 128 bytes, and a key that cannot be one is left
// out.
type Report struct {
	RequestID string
	Name      string // such as sign or keys.create
	Caller    string // empty if it is not known
	Key       string // name; empty if none is concerned
	KeyID     string
	Version   int // 0 if none was used
	Algorithm string
	Scheme    string // of a whole HTTP request
	Outcome   string // ok, valid, invalid, refused or error
	Reason    string // in a word; empty if ok or valid
	Status    int    // of HTTP, also of an operation that came by another protocol
	Items     int    // of a batch; 0 for a single operation
	Valid     int    // items of a batch that were signed or are valid
	Failed    int    // items of a batch with an error
	Bytes     int64  // of the messages
	Start     time.Time
	Duration  time.Duration

	// Metadata is what the caller said about the message, within the bounds of its
	// type; of a batch that of the batch. nil means nothing. Labels are for the
	// log at level debug only.
	Metadata *api.Metadata

	// What the policy of the tenant said: Asked is the key that the caller named
	// if it chose another, Rule and Why are of the refusal, Audit is the level.
	// Empty means nothing.
	Asked string
	Rule  string // policy and rule, with a slash between them
	Why   string
	Audit string

	// Of a diagnosis: its verdict and cause, in words of the program, and how
	// many hypotheses were tried.
	Verdict    string
	Cause      string
	Hypotheses int
}

// End fills in what follows from the rest: how long the operation took, and its
// outcome where the status alone says it.
func (r *Report) End(now time.Time) {
	r.Duration = now.Sub(r.Start)
	switch {
	case r.Status >= 500:
		r.Outcome = Error
	case r.Status >= 400:
		r.Outcome = Refused
	case r.Outcome == "":
		r.Outcome = OK
	}
}

// IDs makes IDs that tell requests apart, also those of two processes. Get it
// from [NewIDs]. It may be used by many goroutines.
type IDs struct {
	prefix string
	last   *atomic.Uint64
}

// NewIDs returns IDs with a random prefix.
func NewIDs() IDs {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return IDs{prefix: hex.EncodeToString(b[:]) + "-", last: new(atomic.Uint64)}
}

// Next returns another ID.
func (ids IDs) Next() string {
	var b [32]byte
	return string(strconv.AppendUint(append(b[:0], ids.prefix...), ids.last.Add(1), 36))
}
