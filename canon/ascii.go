package canon

// Visible reports whether s has visible ASCII characters only, no blanks. It
// is true for an empty s.
func Visible(s string) bool { return between(s, '!') }

// Printable reports whether s has blanks and visible ASCII characters only. It
// is true for an empty s.
func Printable(s string) bool { return between(s, ' ') }

// between reports whether all bytes of s lie between least and ~. It looks at
// eight at a time: with its high bit set, no byte borrows from its neighbour
// when least is subtracted, and only ~ and less can bear one more.
func between(s string, least byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	low := uint64(least) * ones
	for ; len(s) >= 8; s = s[8:] {
		w := word(s)
		if (w|(w+ones))&high != 0 || ((w|high)-low)&high != high {
			return false
		}
	}
	for i := range len(s) {
		if s[i]-least > '~'-least {
			return false
		}
	}
	return true
}

// word returns the first eight bytes of s, the first one lowest. The compiler
// loads them at once.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
