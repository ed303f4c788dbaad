package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"iter"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Row is one thing that a store keeps, on its way to another store. Exactly
// one field is set.
type Row struct {
	Record *Record // with the version it has
	Entry  *Entry  // with its seq
	Use    *Use
	Lease  *Lease // with its uses
	Nonce  *Nonce
}

// Contents says what a store keeps.
type Contents struct {
	Records, Entries, Uses, Leases, Nonces int64

	// Checksum is SHA-256 in hex of all of it. Stores of all kinds with the same
	// contents have the same.
	Checksum string
}

// Tally finds out the [Contents] of rows in the order of stores: records by
// tenant, kind and name, entries by seq, uses by tenant, name and version,
// leases by tenant, key and ID, nonces by tenant, key ID and profile; texts by
// their bytes. Get one from [NewTally].
type Tally struct {
	contents Contents
	sum      hash.Hash
}

// NewTally returns a tally of nothing.
func NewTally() *Tally { return &Tally{sum: sha256.New()} }

// Add counts r in. The error, of kind [fault.Invalid], says that it cannot be
// stored: it is empty, or the log has a gap before it.
func (t *Tally) Add(r Row) error {
	var fields []any
	switch {
	case r.Record != nil:
		v := r.Record
		t.contents.Records++
		fields = []any{"record", v.Tenant, v.Kind, v.Name, v.ID, v.Format, v.Version, v.Doc}
	case r.Entry != nil:
		v := r.Entry
		t.contents.Entries++
		if v.Seq != t.contents.Entries {
			return fault.New(fault.Invalid, "log has entry %d in place of %d", v.Seq, t.contents.Entries)
		}
		fields = []any{"entry", v.Seq, v.At.UnixMicro(), v.Tenant, v.Caller, v.Action, v.Kind, v.RecordID, v.Name, string(v.Detail), v.Reason}
	case r.Use != nil:
		v := r.Use
		t.contents.Uses++
		fields = []any{"use", v.Tenant, v.Name, v.Version, v.Count, v.LastAt.UnixMicro()}
	case r.Lease != nil:
		v := r.Lease
		t.contents.Leases++
		fields = []any{"lease", v.Tenant, v.Key, v.ID, v.Version, v.Purpose, v.CreatedAt.UnixMicro(), v.ExpiresAt.UnixMicro(),
			v.MaxUses, v.Used, v.RevokedAt.IsZero(), v.RevokedAt.UnixMicro()}
	case r.Nonce != nil:
		v := r.Nonce
		t.contents.Nonces++
		fields = []any{"nonce", v.Tenant, v.KeyID, v.Profile, v.Value}
	default:
		return fault.New(fault.Invalid, "row is empty")
	}
	text, err := json.Marshal(fields) // a line for each, which JSON cannot break
	if err != nil {
		return fault.New(fault.Internal, "row cannot be counted").Because(err)
	}
	t.sum.Write(append(text, '\n'))
	return nil
}

// Contents returns what was counted until now.
func (t *Tally) Contents() Contents {
	c := t.contents
	c.Checksum = hex.EncodeToString(t.sum.Sum(nil))
	return c
}

// Count returns the contents of rows, or their first error.
func Count(rows iter.Seq2[Row, error]) (Contents, error) {
	t := NewTally()
	for r, err := range rows {
		if err == nil {
			err = t.Add(r)
		}
		if err != nil {
			return Contents{}, err
		}
	}
	return t.Contents(), nil
}

// CheckCopy returns an error of kind [fault.Internal] if what is stored is not
// what was to be copied.
func CheckCopy(stored, want Contents) error {
	if stored != want {
		return fault.New(fault.Internal, "copy differs from the original, so it is not made").Because(fmt.Errorf("got %+v, want %+v", stored, want))
	}
	return nil
}
