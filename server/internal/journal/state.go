package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// state is what a journal says of itself. It is written every second.
type state struct {
	Seq    uint64     `json:"seq"`
	Key    []byte     `json:"key"`    // an ID made with the key
	Clean  bool       `json:"clean"`  // everything that was claimed is in the files
	Sync   bool       `json:"sync"`   // everything that was answered is in the files
	MarkAt int64      `json:"mark"`   // µs since 1970; above every signed time that was accepted
	Floor  int64      `json:"floor"`  // µs since 1970; what was signed here or before may be forgotten
	Files  []fileInfo `json:"files"`  // those that were there
	Format int        `json:"format"` // 1
}

// fileInfo is what the state says of a file.
type fileInfo struct {
	First   uint32 `json:"first"`
	Width   uint32 `json:"width"`
	Records int64  `json:"records"` // at least
}

const (
	stateFormat = 1
	slotSize    = 8192 // of each of two states in a file, in bytes
)

func (s state) mark() time.Time  { return time.UnixMicro(s.MarkAt) }
func (s state) floor() time.Time { return time.UnixMicro(s.Floor) }

// appendState appends a slot with s: the length of its JSON, CRC-32C of the
// JSON, the JSON, zeros.
func appendState(b []byte, s state) ([]byte, error) {
	s.Format = stateFormat
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	if len(text) > slotSize-8 {
		return nil, fmt.Errorf("write state: got %d bytes, want at most %d", len(text), slotSize-8)
	}
	slot := make([]byte, slotSize)
	binary.BigEndian.PutUint32(slot, uint32(len(text)))
	binary.BigEndian.PutUint32(slot[4:], castagnoli(text))
	copy(slot[8:], text)
	return append(b, slot...), nil
}

// parseStates returns the later of the two states in b, and whether both could
// be read. ok is false if none could.
func parseStates(b []byte) (s state, both, ok bool) {
	if len(b) != 2*slotSize {
		return state{}, false, false
	}
	first, ok1 := parseState(b[:slotSize])
	second, ok2 := parseState(b[slotSize:])
	if ok2 && (!ok1 || second.Seq > first.Seq) {
		first = second
	}
	return first, ok1 && ok2, ok1 || ok2
}

func parseState(slot []byte) (s state, ok bool) {
	size := binary.BigEndian.Uint32(slot)
	if size > slotSize-8 {
		return state{}, false
	}
	text := slot[8 : 8+size]
	if castagnoli(text) != binary.BigEndian.Uint32(slot[4:]) || json.Unmarshal(text, &s) != nil || s.Format != stateFormat {
		return state{}, false
	}
	return s, true
}
