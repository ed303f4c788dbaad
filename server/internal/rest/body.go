package rest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// progressStep is the number of bytes for which a client has the time of
// Limits.Progress.
const progressStep = 64 << 10

// bodyReader reads the body of a request that may take as long as it moves.
// The server's own deadline covers the first [progressStep] bytes.
type bodyReader struct {
	a        *API
	x        *exchange
	progress time.Duration
	read     int64 // bytes so far
	step     int64 // bytes at which the deadlines move on
}

func (a *API) bodyReader(x *exchange) bodyReader {
	return bodyReader{a: a, x: x, progress: a.o.Limits.Progress, step: progressStep}
}

// Read is that of [io.Reader]. An error other than io.EOF is a problem.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.x.r.Body.Read(p)
	b.read += int64(n)
	if b.read >= b.step && err == nil {
		b.step = b.read + progressStep
		control := http.NewResponseController(b.x.w)
		now := time.Now()
		_ = control.SetReadDeadline(now.Add(b.progress)) // where it is not supported the server's deadline stays
		_ = control.SetWriteDeadline(now.Add(2 * b.progress))
	}
	if err == io.EOF && b.step > progressStep {
		if err := b.a.again(b.x); err != nil {
			return n, err
		}
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if fault.KindOf(err) == fault.Denied { // not the body that was signed
		return n, b.a.unknown(b.x, err)
	}
	return n, readProblem(err)
}

// again finds out once more who calls: a long body can take hours, in which the
// caller may have lost its rights.
func (a *API) again(x *exchange) error {
	if a.o.Again == nil {
		return nil
	}
	caller, err := a.o.Again(x.caller)
	if err != nil {
		return a.unknown(x, err)
	}
	x.caller = caller
	return nil
}

// readProblem says why a body could not be read to its end.
func readProblem(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return newProblem(http.StatusRequestTimeout, "the body came too slowly")
	}
	return newProblem(http.StatusBadRequest, "the body ends too early, or its transfer coding is broken")
}

// readBody reads the body into x.body. A body of more than limit bytes is
// refused, before it is read if its length is known.
func (a *API) readBody(x *exchange, limit int64) error {
	if x.r.ContentLength > limit {
		return tooLarge(limit)
	}
	x.body = x.body[:0]
	if x.r.ContentLength == 0 {
		return nil
	}
	in := a.bodyReader(x)
	for {
		if len(x.body) == cap(x.body) {
			x.body = grow(x.body, x.r.ContentLength, limit)
		}
		n, err := in.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		if int64(len(x.body)) > limit {
			return tooLarge(limit)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// maxTrusted is the declared length up to which memory is made for it at once.
const maxTrusted = 64 << 10

// grow returns b with more capacity. It trusts a declared length for the first
// 64 KiB only: memory follows what has really come.
func grow(b []byte, declared, limit int64) []byte {
	size := max(int64(2*cap(b)), 2048)
	if declared >= 0 && declared < maxTrusted {
		size = max(declared+1, 512) // one more to see the end without growing
	}
	bigger := make([]byte, len(b), min(size, limit+1))
	copy(bigger, b)
	return bigger
}

func tooLarge(limit int64) error {
	return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have at most %d bytes", limit))
}
