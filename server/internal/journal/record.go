package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// recordSize is the size of a record and of the header of a file in bytes: a
// claim, the second of its time, and CRC-32C of both. A sector holds whole
// records, so none is ever written by half.
const recordSize = 16

// pageSize is what one sync covers at the most: what a disk writes at once, or
// in sectors in any order.
const pageSize = 4096

// magic begins the header of a file.
const magic = "SWc1"

// errDamaged means that a file does not hold what was written to it.
var errDamaged = errors.New("journal is damaged")

var castagnoliTable = crc32.MakeTable(crc32.Castagnoli)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, castagnoliTable) }

// record is one claim with the second of its time.
type record struct {
	claim  uint64
	second uint32
}

// appendRecord appends the form of r in a file. It is never all zeros.
func appendRecord(b []byte, r record) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, r.claim)
	b = binary.BigEndian.AppendUint32(b, r.second)
	return binary.BigEndian.AppendUint32(b, castagnoli(b[start:]))
}

// span is the seconds of a file: from first, width of them.
type span struct {
	first, width uint32
}

func (s span) holds(second uint32) bool { return second >= s.first && second-s.first < s.width }

// end returns the second after the last one.
func (s span) end() int64 { return int64(s.first) + int64(s.width) }

// spanOf returns the span of the file for a second where files have this width.
func spanOf(second, width uint32) span {
	first := second / width * width
	return span{first, min(width, math.MaxUint32-first)}
}

// appendHeader appends the header of a file, which is as long as a record.
func appendHeader(b []byte, s span) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, s.first)
	b = binary.BigEndian.AppendUint32(b, s.width)
	return binary.BigEndian.AppendUint32(b, castagnoli(b[start:]))
}

// parseFile returns the records of a file and where the next one goes.
//
// A file ends in zeros, at least as many as a record has, so that a file that
// was cut shows it. In the page where the zeros begin sectors may be missing,
// written in no order when the machine stopped: nothing in them was answered.
// Everything else is [errDamaged].
func parseFile(b []byte, s span) (records []record, end int64, err error) {
	if len(b) < 2*recordSize || string(appendHeader(nil, s)) != string(b[:recordSize]) {
		return nil, 0, fmt.Errorf("%w: header is not that of the file", errDamaged)
	}
	if last := b[len(b)-recordSize:]; !isZero(last) {
		return nil, 0, fmt.Errorf("%w: file of %d bytes does not end in zeros, so it was cut", errDamaged, len(b))
	}
	gap := -1 // where the zeros begin
	for at := recordSize; at+recordSize <= len(b); at += recordSize {
		slot := b[at : at+recordSize]
		if isZero(slot) {
			if gap < 0 {
				gap = at
			}
			continue
		}
		r := record{binary.BigEndian.Uint64(slot), binary.BigEndian.Uint32(slot[8:])}
		switch {
		case castagnoli(slot[:12]) != binary.BigEndian.Uint32(slot[12:]) || !s.holds(r.second):
			return nil, 0, fmt.Errorf("%w: record at byte %d", errDamaged, at)
		case gap >= 0 && at/pageSize != gap/pageSize:
			return nil, 0, fmt.Errorf("%w: record at byte %d behind a gap at byte %d", errDamaged, at, gap)
		}
		records = append(records, r)
		end = int64(at)
	}
	return records, end + recordSize, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
