package overload_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/overload"
)

// BenchmarkOverload offers 10,000 requests a second for 30 seconds to a server
// that can do 1,000: 10 at a time take 10 ms each. What the server does when it is
// just busy, with a client for each place, is measured before and after that.
func BenchmarkOverload(b *testing.B) {
	const concurrency, queue, connections, offered, seconds = 10, 20, 200, 10_000, 30
	work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := hmac.New(sha256.New, []byte("a key of this benchmark"))
		_, _ = io.Copy(m, r.Body)
		time.Sleep(10 * time.Millisecond)
		_, _ = w.Write(m.Sum(nil))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: overload.NewShedder(work, concurrency, queue)}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	for b.Loop() {
		peak := offer(b, l.Addr().String(), concurrency, 0, 5*time.Second)
		over := offer(b, l.Addr().String(), connections, offered/connections, seconds*time.Second)
		if after := offer(b, l.Addr().String(), concurrency, 0, 5*time.Second); after.rate(after.good) > peak.rate(peak.good) {
			peak = after // something else was busy before
		}
		b.ReportMetric(peak.rate(peak.good), "peak/s")
		b.ReportMetric(over.rate(over.good), "goodput/s")
		b.ReportMetric(100*over.rate(over.good)/peak.rate(peak.good), "%ofpeak")
		b.ReportMetric(over.rate(over.good+over.shed), "offered/s")
		b.ReportMetric(float64(over.percentile(99))/1e6, "p99-ms")
		b.ReportMetric(float64(over.heap)/(1<<20), "heap-MB")
		b.ReportMetric(float64(over.goroutines), "goroutines")
		if over.rate(over.good) < 0.9*peak.rate(peak.good) {
			b.Errorf("goodput is %.0f/s, want at least 90%% of %.0f/s", over.rate(over.good), peak.rate(peak.good))
		}
	}
}

// load is what came of offering requests.
type load struct {
	good, shed int
	took       time.Duration
	latencies  []time.Duration // of the good ones
	heap       uint64          // bytes in use, the most that was seen; of client and server
	goroutines int             // the most that was seen; of client and server
}

func (l load) rate(n int) float64 { return float64(n) / l.took.Seconds() }

func (l load) percentile(p int) time.Duration {
	slices.Sort(l.latencies)
	return l.latencies[len(l.latencies)*p/100]
}

// offer sends rate requests a second on each connection, as many as it can if
// rate is 0, for a time. A connection waits for each answer.
func offer(b *testing.B, address string, connections, rate int, duration time.Duration) load {
	b.Helper()
	var all load
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	start := time.Now()
	for i := range connections {
		first := start
		if rate > 0 { // not all at once
			first = start.Add(time.Duration(i) * time.Second / time.Duration(rate*connections))
		}
		group.Go(func() {
			l, err := offerOn(address, rate, first, start.Add(duration))
			if err != nil {
				failed.Store(&err)
			}
			mu.Lock()
			defer mu.Unlock()
			all.good, all.shed, all.latencies = all.good+l.good, all.shed+l.shed, append(all.latencies, l.latencies...)
		})
	}
	for time.Since(start) < duration {
		time.Sleep(100 * time.Millisecond)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		all.heap, all.goroutines = max(all.heap, m.HeapInuse), max(all.goroutines, runtime.NumGoroutine())
	}
	group.Wait()
	all.took = time.Since(start)
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return all
}

func offerOn(address string, rate int, next, end time.Time) (l load, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return l, err
	}
	defer conn.Close()
	request := "POST /v1/keys/a/sign HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("a", 1024)
	in := bufio.NewReader(conn)
	for next.Before(end) {
		time.Sleep(time.Until(next))
		began := time.Now()
		if !began.Before(end) {
			return l, nil
		}
		if _, err := io.WriteString(conn, request); err != nil {
			return l, err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return l, err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		switch answer.StatusCode {
		case http.StatusOK:
			l.good++
			l.latencies = append(l.latencies, time.Since(began))
		case http.StatusServiceUnavailable:
			l.shed++
		}
		if next = time.Now(); rate > 0 {
			next = began.Add(time.Second / time.Duration(rate))
		}
	}
	return l, nil
}
