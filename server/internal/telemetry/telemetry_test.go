package telemetry_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/telemetry"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)

var signed = telemetry.Operation{
	RequestID: "r-1", Name: "sign", Caller: "admin", Key: "orders", KeyID: "O1", Version: 2, Algorithm: "hmac-sha256",
	Outcome: "ok", Status: 200, Bytes: 1024, Start: start, Duration: 1234567 * time.Nanosecond,
}

func record(o telemetry.Options, ops ...telemetry.Operation) string {
	var out bytes.Buffer
	o.Output = &out
	r := telemetry.New(o)
	for _, op := range ops {
		r.Record(op)
	}
	if err := r.Flush(); err != nil {
		panic(err)
	}
	return out.String()
}

func TestLine(t *testing.T) {
	refused := telemetry.Operation{RequestID: "r-2", Name: "keys.get", Outcome: "refused", Reason: "unauthorized", Status: 401, Start: start}
	batch := signed
	batch.Items, batch.Valid, batch.Failed, batch.Scheme = 5, 3, 1, "github"
	diagnosis := telemetry.Operation{Name: "doctor", Outcome: "ok", Status: 200, Start: start, Verdict: "proven", Cause: "body.newlines", Hypotheses: 7}
	tests := []struct {
		name string
		op   telemetry.Operation
		json string
		text string
	}{
		{
			"Everything", signed,
			`{"time":"2026-01-02T03:04:05.678900Z","level":"INFO","msg":"operation","op":"sign","caller":"admin","key":"orders","key_id":"O1",` +
				`"version":2,"algorithm":"hmac-sha256","outcome":"ok","status":200,"bytes":1024,"latency_us":1234,"request_id":"r-1"}`,
			`time=2026-01-02T03:04:05.678Z level=INFO msg=operation op=sign caller=admin key=orders key_id=O1 ` +
				`version=2 algorithm=hmac-sha256 outcome=ok status=200 bytes=1024 latency_us=1234 request_id=r-1`,
		},
		{
			"Diagnosis", diagnosis,
			`{"time":"2026-01-02T03:04:05.678900Z","level":"INFO","msg":"operation","op":"doctor","outcome":"ok","verdict":"proven",` +
				`"cause":"body.newlines","hypotheses":7,"status":200,"bytes":0,"latency_us":0}`,
			`time=2026-01-02T03:04:05.678Z level=INFO msg=operation op=doctor outcome=ok verdict=proven ` +
				`cause=body.newlines hypotheses=7 status=200 bytes=0 latency_us=0`,
		},
		{
			"WhatIsNotKnownIsLeftOut", refused,
			`{"time":"2026-01-02T03:04:05.678900Z","level":"WARN","msg":"operation","op":"keys.get","outcome":"refused","reason":"unauthorized",` +
				`"status":401,"bytes":0,"latency_us":0,"request_id":"r-2"}`,
			`time=2026-01-02T03:04:05.678Z level=WARN msg=operation op=keys.get outcome=refused reason=unauthorized status=401 bytes=0 latency_us=0 request_id=r-2`,
		},
		{
			"BatchIsOneLineWithCounts", batch,
			`{"time":"2026-01-02T03:04:05.678900Z","level":"INFO","msg":"operation","op":"sign","caller":"admin","key":"orders","key_id":"O1",` +
				`"version":2,"algorithm":"hmac-sha256","scheme":"github","outcome":"ok","status":200,"items":5,"valid":3,"failed":1,"bytes":1024,"latency_us":1234,"request_id":"r-1"}`,
			`time=2026-01-02T03:04:05.678Z level=INFO msg=operation op=sign caller=admin key=orders key_id=O1 ` +
				`version=2 algorithm=hmac-sha256 scheme=github outcome=ok status=200 items=5 valid=3 failed=1 bytes=1024 latency_us=1234 request_id=r-1`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.json+"\n", record(telemetry.Options{}, tt.op)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.text+"\n", record(telemetry.Options{Text: true}, tt.op)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLineCannotBeForged writes texts that a caller chooses, which must not
// begin a line, end an attribute or reach a terminal.
func TestLineCannotBeForged(t *testing.T) {
	for _, key := range []string{"a\nb", "a\r\n{\"level\":\"ERROR\"}", `a","outcome":"valid`, "a outcome=valid", "\x1b[31m", "a\x00", "\xff\xfe", "\u2028", "\u009b31m", "é😀", `\`, "=", "\x7f"} {
		op := signed
		op.Key = key
		for _, text := range []bool{false, true} {
			line := record(telemetry.Options{Text: text}, op)
			if strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\r\x00\x1b\x7f\u2028\u009b") {
				t.Errorf("key %q: got %q", key, line)
			}
		}
		var got struct{ Key, Outcome string }
		line := record(telemetry.Options{}, op)
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Key != string([]rune(key)) || got.Outcome != "ok" {
			t.Errorf("key %q: got %q from %q, %v", key, got.Key, line, err)
		}
		if text := record(telemetry.Options{Text: true}, op); strings.Count(text, " outcome=ok ") != 1 {
			t.Errorf("key %q: got %q", key, text)
		}
	}
}

func TestLevel(t *testing.T) {
	refused, failed := signed, signed
	refused.Outcome, failed.Outcome = "refused", "error"
	for level, want := range map[slog.Level]int{slog.LevelDebug: 3, slog.LevelInfo: 3, slog.LevelWarn: 2, slog.LevelError: 1} {
		if got := strings.Count(record(telemetry.Options{Level: level}, signed, refused, failed), "\n"); got != want {
			t.Errorf("level %v: got %d lines, want %d", level, got, want)
		}
	}
}

// pipe is an output that tells when it is written.
type pipe struct {
	mu     sync.Mutex
	blocks []string
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks = append(p.blocks, string(b))
	return len(b), nil
}

func (p *pipe) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.blocks...)
}

func TestWriterWaitsFor100Milliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &pipe{}
		w := telemetry.NewWriter(out)
		for round := 1; round <= 2; round++ {
			write(t, w, "a\n")
			time.Sleep(99 * time.Millisecond)
			write(t, w, "b\n")
			if got := len(out.all()); got != round-1 {
				t.Fatalf("round %d: got %d blocks after 99 ms", round, got)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got := out.all(); len(got) != round || got[round-1] != "a\nb\n" {
				t.Fatalf("round %d: got %q after 101 ms", round, got)
			}
		}
		time.Sleep(time.Second)
		if got := out.all(); len(got) != 2 {
			t.Errorf("got %q without a line", got)
		}
	})
}

func write(t *testing.T, w *telemetry.Writer, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write: got %d, %v", n, err)
	}
}

func TestWriterHandsOnFullBlocksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &pipe{}
		w := telemetry.NewWriter(out)
		write(t, w, strings.Repeat("a", 64<<10-1))
		if len(out.all()) != 0 {
			t.Fatal("handed on below 64 KiB")
		}
		write(t, w, "a")
		if got := out.all(); len(got) != 1 || len(got[0]) != 64<<10 {
			t.Fatalf("got %d blocks at 64 KiB", len(got))
		}
	})
}

// TestWriterKeepsOrder writes from many goroutines: no line is lost, torn or
// overtaken by a later one of its writer.
func TestWriterKeepsOrder(t *testing.T) {
	out := &pipe{}
	w := telemetry.NewWriter(out)
	const writers, lines = 8, 5000
	var wg sync.WaitGroup
	for id := range writers {
		wg.Go(func() {
			for i := range lines {
				b, _ := json.Marshal([2]int{id, i})
				_, _ = w.Write(append(b, '\n'))
			}
		})
	}
	wg.Wait()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var next [writers]int
	scan := bufio.NewScanner(strings.NewReader(strings.Join(out.all(), "")))
	for scan.Scan() {
		var l [2]int
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil || next[l[0]] != l[1] {
			t.Fatalf("got line %q, want %d of its writer: %v", scan.Text(), next[l[0]], err)
		}
		next[l[0]]++
	}
	for id, n := range next {
		if n != lines {
			t.Errorf("writer %d: got %d lines, want %d", id, n, lines)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriterReportsItsOutput(t *testing.T) {
	w := telemetry.NewWriter(broken{})
	write(t, w, "a\n")
	if err := w.Flush(); err == nil {
		t.Error("Flush: got no error")
	}
	if err := w.Flush(); err != nil {
		t.Errorf("Flush of nothing: %v", err)
	}
}

func TestErrorsAreWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &pipe{}
		r := telemetry.New(telemetry.Options{Output: out})
		r.Record(signed)
		r.Log().Info("told later")
		if len(out.all()) != 0 {
			t.Fatal("written before its time")
		}
		r.Log().With("a", 1).WithGroup("g").Error("bad", "b", 2)
		if got := strings.Join(out.all(), ""); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"msg":"bad","a":1,"g":{"b":2}}`) {
			t.Fatalf("got %q", got)
		}
		failed := signed
		failed.Outcome = "error"
		r.Record(failed)
		if got := out.all(); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})
}

func metrics(t *testing.T, r *telemetry.Recorder) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	r := telemetry.New(telemetry.Options{Version: "1.2.3", Keys: func() int { return 7 },
		Followed: func() (int64, time.Time) { return 12, time.Now().Add(-90 * time.Minute) }})
	r.Record(signed)
	r.Record(signed)
	batch := signed
	batch.Name, batch.Items, batch.Valid, batch.Failed = "verify", 10, 6, 1
	r.Record(batch)
	got := metrics(t, r)
	for _, want := range []string{
		`sealwright_operations_total{op="sign",outcome="ok"} 2`,
		`sealwright_operations_total{op="verify",outcome="ok"} 1`,
		`sealwright_operations_total{op="verify",outcome="error"} 0`,
		`sealwright_operation_duration_seconds_count{op="sign"} 2`,
		`sealwright_operation_duration_seconds_bucket{op="sign",le="0.001"} 0`,
		`sealwright_operation_duration_seconds_bucket{op="sign",le="0.0025"} 2`,
		`sealwright_batch_items_total{result="valid"} 6`,
		`sealwright_batch_items_total{result="invalid"} 3`,
		`sealwright_batch_items_total{result="failed"} 1`,
		`sealwright_message_bytes_total 3072`,
		`sealwright_build_info{version="1.2.3"} 1`,
		`sealwright_keys 7`, `sealwright_log_applied_seq 12`, `sealwright_log_age_seconds 54`,
		`go_goroutines`, `process_open_fds`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// Metrics of others stand beside those of operations, with labels that they list.
func TestMetricsOfOthers(t *testing.T) {
	r := telemetry.New(telemetry.Options{})
	for _, guard := range []string{"a", "b"} {
		r.Gauge(telemetry.Metric{Name: "sealwright_held", Help: "Held.", Labels: map[string]string{"guard": guard}}, func() float64 { return 3 })
	}
	r.Total(telemetry.Metric{Name: "sealwright_refused_total", Help: "Refused."}, func() float64 { return 4 })
	count := r.Counts(telemetry.Metric{Name: "sealwright_checks_total", Help: "Checks."}, "outcome", "fresh", "full")
	for _, outcome := range []string{"fresh", "fresh", "chosen"} {
		count(outcome)
	}
	got := metrics(t, r)
	for _, want := range []string{
		`sealwright_held{guard="a"} 3`, `sealwright_held{guard="b"} 3`, "# TYPE sealwright_refused_total counter", "sealwright_refused_total 4",
		`sealwright_checks_total{outcome="fresh"} 2`, `sealwright_checks_total{outcome="full"} 0`, `sealwright_checks_total{outcome="other"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "chosen") {
		t.Error("a value that is not listed is a label")
	}
}

// TestNoLabelIsChosen records what a stranger may choose and looks for it in
// the metrics; the number of series must stay what it was.
func TestNoLabelIsChosen(t *testing.T) {
	r := telemetry.New(telemetry.Options{})
	series := func() int { return strings.Count(metrics(t, r), "\nsealwright_") }
	before := series()
	for range 100 {
		op := signed
		op.Name, op.Outcome, op.Reason = "chosen-name", "chosen-outcome", "chosen-reason"
		op.Key, op.KeyID, op.Algorithm, op.Scheme, op.RequestID, op.Caller = "chosen-key", "chosen-id", "chosen-a", "chosen-s", "chosen-r", "chosen-c"
		r.Record(op)
	}
	if got := metrics(t, r); strings.Contains(got, "chosen") || !strings.Contains(got, `sealwright_operations_total{op="other",outcome="other"} 100`) {
		t.Errorf("got\n%s", got)
	}
	if after := series(); after != before {
		t.Errorf("got %d series, want %d", after, before)
	}
}
