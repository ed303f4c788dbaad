// Package sealhttp verifies the requests of a net/http server and signs those
// of a net/http client.
//
// A [Middleware] reads the body up to a cap, verifies the raw request as it was
// on the wire, and hands it on untouched, with the verdict in its context. All
// refusals look alike. A [Transport] signs what an [http.Client] sends.
//
// Bodies are held in memory. Nothing is decoded: a signature covers the bytes
// of the wire, so neither side undoes a content coding. Repetitions
// are refused by who sets [Middleware.Claims], with a [Memory] or one of his own.
package sealhttp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright"
)

// DefaultMaxBody is the longest body in bytes where no other cap is set: 1 MiB.
const DefaultMaxBody = 1 << 20

// ErrTooLarge means that a body is longer than the cap.
var ErrTooLarge = errors.New("body is larger than allowed")

// errBody means that a body breaks off or cannot be read.
var errBody = errors.New("body is unreadable")

// limit returns the cap that a MaxBody field stands for.
func limit(maxBody int64) int64 {
	if maxBody <= 0 {
		return DefaultMaxBody
	}
	return min(maxBody, math.MaxInt64-1) // so that one more byte can be counted
}

// firstRead is how many bytes of a body get room because a sender announces
// them. More room comes with the bytes themselves.
const firstRead = 64 << 10

// readBody reads r to its end and returns [ErrTooLarge] if it has more than
// maxBody bytes. size is the announced length, -1 for none; a longer one than
// the cap is refused unread.
func readBody(r io.Reader, size, maxBody int64) ([]byte, error) {
	if size > maxBody {
		return nil, fmt.Errorf("%w: %d bytes announced, at most %d are allowed", ErrTooLarge, size, maxBody)
	}
	var b bytes.Buffer
	b.Grow(int(min(max(size, 0), firstRead)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(r, maxBody+1))
	var over *http.MaxBytesError
	switch {
	case n > maxBody || errors.As(err, &over):
		return nil, fmt.Errorf("%w: at most %d bytes are allowed", ErrTooLarge, maxBody)
	case err != nil:
		return nil, fmt.Errorf("%w: %v", errBody, err)
	}
	return b.Bytes(), nil
}

// splitTarget splits what stands in a request line into the authority, empty
// unless the target has the absolute form, and the target in origin form, byte
// for byte (RFC 9112 section 3.2).
func splitTarget(uri string) (host, target string) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			if _, host, target, err := sealwright.SplitURL(scheme + uri[len(scheme):]); err == nil {
				return host, target
			}
		}
	}
	return "", uri
}

// body is a body that was read.
type body struct{ *bytes.Reader }

func newBody(b []byte) io.ReadCloser {
	if len(b) == 0 {
		return http.NoBody
	}
	return body{bytes.NewReader(b)}
}

// Close implements [io.Closer].
func (body) Close() error { return nil }
