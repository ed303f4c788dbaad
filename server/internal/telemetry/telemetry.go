// Package telemetry is what the server tells its operator: a log with one line
// for each operation, and metrics for Prometheus.
//
// A line names who did what with which key, and how it ended and how long it
// took. It has no place for a secret, a tag, a message or a signing string.
// Labels of metrics are names of operations, outcomes and reasons that stand in
// the program; nothing that a stranger chooses becomes a label.
package telemetry

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/operation"
)

// Operation is one operation of the API, as it ended.
type Operation = operation.Report

// Options are what [New] needs. The zero value logs JSON from level info on.
type Options struct {
	Output  io.Writer // of the log; nil drops it
	Level   slog.Level
	Text    bool       // key=value instead of JSON
	Version string     // of the program, for the metrics
	Keys    func() int // number of keys, for the metrics; nil means none

	// Followed returns the seq of the last change of other nodes that is applied,
	// and the time up to which nothing is missing, for the metrics; nil means
	// that there are no other nodes.
	Followed func() (seq int64, heard time.Time)
}

// Recorder writes the log and counts. It may be used by many goroutines.
type Recorder struct {
	log     *slog.Logger
	out     *Writer
	level   slog.Level
	text    bool
	lines   sync.Pool // of *line
	metrics *metrics
}

// New returns a recorder. Call [Recorder.Flush] when nothing is recorded any more.
func New(o Options) *Recorder {
	if o.Output == nil {
		o.Output = io.Discard
	}
	r := &Recorder{out: NewWriter(o.Output), level: o.Level, text: o.Text, metrics: newMetrics(o)}
	r.lines.New = func() any { return &line{text: o.Text} }
	options := &slog.HandlerOptions{Level: o.Level}
	if o.Text {
		r.log = slog.New(flushing{slog.NewTextHandler(r.out, options), r.out})
	} else {
		r.log = slog.New(flushing{slog.NewJSONHandler(r.out, options), r.out})
	}
	return r
}

// Log returns the log for everything that is not an operation. It shares the
// output; an error is written at once.
func (r *Recorder) Log() *slog.Logger { return r.log }

// Flush writes the lines that still wait.
func (r *Recorder) Flush() error { return r.out.Flush() }

// Record logs and counts one operation.
func (r *Recorder) Record(op Operation) {
	r.metrics.record(&op)
	level := levelOf(op.Outcome)
	if level < r.level {
		return
	}
	l := r.lines.Get().(*line)
	l.begin(op.Start, level, "operation")
	l.str("op", op.Name)
	l.str("caller", op.Caller)
	l.str("key", op.Key)
	l.str("asked_key", op.Asked)
	l.str("key_id", op.KeyID)
	if op.Version != 0 {
		l.num("version", int64(op.Version))
	}
	l.str("algorithm", op.Algorithm)
	l.str("scheme", op.Scheme)
	l.str("outcome", op.Outcome)
	l.str("reason", op.Reason)
	l.str("rule", op.Rule)
	l.str("why", op.Why)
	l.str("audit", op.Audit)
	if op.Metadata != nil {
		l.metadata(op.Metadata, r.level <= slog.LevelDebug)
	}
	if op.Verdict != "" {
		l.str("verdict", op.Verdict)
		l.str("cause", op.Cause)
		l.num("hypotheses", int64(op.Hypotheses))
	}
	l.num("status", int64(op.Status))
	if op.Items != 0 {
		l.num("items", int64(op.Items))
		l.num("valid", int64(op.Valid))
		l.num("failed", int64(op.Failed))
	}
	l.num("bytes", op.Bytes)
	l.num("latency_us", op.Duration.Microseconds())
	l.str("request_id", op.RequestID)
	l.end()
	_, _ = r.out.Write(l.buf)
	r.lines.Put(l)
	if level >= slog.LevelError {
		_ = r.out.Flush()
	}
}

func levelOf(outcome string) slog.Level {
	switch outcome {
	case "error":
		return slog.LevelError
	case "refused":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
