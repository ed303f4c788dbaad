package rest

import (
	"math"

	"github.com/sealwright/sealwright/secret"
)

// fewBits is the estimate below which a secret is too regular. A random secret
// of 16 bytes has 50 or more, one of hexadecimal digits with 32 more than 90.
const fewBits = 40

// entropy estimates the bits of chance in a secret from how its bytes and the
// steps between them are spread (Shannon). It finds repeated and counted bytes,
// not words of a dictionary: a high value proves nothing.
func entropy(s secret.Bytes) float64 {
	var bytes, steps [256]int
	b := s.Expose()
	for i, c := range b {
		bytes[c]++
		if i > 0 {
			steps[c-b[i-1]]++
		}
	}
	return min(spread(&bytes, len(b)), spread(&steps, len(b)-1))
}

func spread(counts *[256]int, n int) float64 {
	bits := 0.0
	for _, c := range counts {
		if c > 0 {
			bits -= float64(c) * math.Log2(float64(c)/float64(n))
		}
	}
	return bits
}
