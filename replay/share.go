package replay

import "sync/atomic"

const (
	shareRows  = 4
	shareCells = 1 << 10
)

// shares counts the claims of owners in each bucket, in a room that does not
// grow with the number of owners: an owner has one cell in each row, and what
// others add to a cell makes it only larger. So the smallest of its cells is at
// least, and almost always exactly, what the owner holds.
type shares struct {
	most   int64                   // of one owner
	counts []atomic.Pointer[count] // by number of the bucket, modulo the length
}

// count is that of one bucket.
type count struct {
	number int64
	cells  [shareRows][shareCells]atomic.Uint32
}

func newShares(buckets int, most int64) shares {
	return shares{most: most, counts: make([]atomic.Pointer[count], buckets)}
}

// take counts one more claim of owner in bucket n, unless it holds the most
// already above the floor. While all together hold no more than that, nobody
// can.
func (s *shares) take(owner uint64, n, floor, live int64) bool {
	if live > s.most && s.held(owner, floor) >= s.most {
		return false
	}
	c := s.count(n)
	for row := range shareRows {
		c.cells[row][cell(owner, row)].Add(1)
	}
	return true
}

// count returns the count of bucket n, in place of one that is gone.
func (s *shares) count(n int64) *count {
	p := &s.counts[modulo(n, int64(len(s.counts)))]
	for {
		c := p.Load()
		if c != nil && c.number >= n {
			return c
		}
		p.CompareAndSwap(c, &count{number: n})
	}
}

// held returns how many claims owner holds in buckets above floor.
func (s *shares) held(owner uint64, floor int64) int64 {
	var sums [shareRows]int64
	for i := range s.counts {
		c := s.counts[i].Load()
		if c == nil || c.number <= floor {
			continue
		}
		for row := range sums {
			sums[row] += int64(c.cells[row][cell(owner, row)].Load())
		}
	}
	return min(sums[0], sums[1], sums[2], sums[3])
}

// cell returns the cell of owner, which is a hash, in a row.
func cell(owner uint64, row int) uint64 { return owner >> (16 * row) % shareCells }
