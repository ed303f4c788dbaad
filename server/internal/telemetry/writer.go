package telemetry

import (
	"io"
	"sync"
	"time"
)

const (
	// FlushAfter is how long a line may wait in a [Writer].
	FlushAfter = 100 * time.Millisecond
	// flushAt is the number of waiting bytes that are written at once, by the
	// writer of the last line. It bounds the memory while the output blocks.
	flushAt = 64 << 10
)

// Writer collects lines and hands them on in blocks, at the latest after
// [FlushAfter], so that a line costs a copy instead of a system call. It may be
// used by many goroutines. An output that blocks blocks them, it loses nothing.
type Writer struct {
	dst io.Writer

	mu    sync.Mutex // of buf, armed and timer
	buf   []byte
	armed bool // the timer runs
	timer *time.Timer

	out   sync.Mutex // held while dst is written, so that blocks keep their order
	spare []byte
}

// NewWriter returns a writer to dst. Who makes one flushes it at the end.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write adds the whole line p. It never fails: a log that cannot be written
// must not stop what it reports.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.buf = append(w.buf, p...)
	full := len(w.buf) >= flushAt
	if !w.armed && !full {
		w.armed = true
		if w.timer == nil {
			w.timer = time.AfterFunc(FlushAfter, func() { _ = w.Flush() })
		} else {
			w.timer.Reset(FlushAfter)
		}
	}
	w.mu.Unlock()
	if full {
		_ = w.Flush()
	}
	return len(p), nil
}

// Flush hands on everything that was written before. It returns the error of
// the output; the lines are not tried again.
func (w *Writer) Flush() error {
	w.out.Lock()
	defer w.out.Unlock()
	w.mu.Lock()
	block := w.buf
	w.buf, w.armed = w.spare[:0], false
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.spare = block
	if len(block) == 0 {
		return nil
	}
	_, err := w.dst.Write(block)
	return err
}
