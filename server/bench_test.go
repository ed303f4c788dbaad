package server_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveBare serves a handler that reads the body and returns its HMAC, and
// does nothing else: no token, no JSON, no log.
func serveBare(ready func(addr string)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready(l.Addr().String())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
		m.Write(body)
		_, _ = io.WriteString(w, hex.EncodeToString(m.Sum(nil)))
	}))
}

// connections is how many requests are under way at a time, each on its own
// kept connection.
const connections = 32

// load sends a request over and over. It writes prepared bytes and reads what
// comes back with little work, so that the server is what is measured.
type load struct {
	request []byte
	conns   []net.Conn
	in      []*bufio.Reader
}

func newLoad(b *testing.B, url, path, kind, token, body string) *load {
	b.Helper()
	address := strings.TrimPrefix(url, "http://")
	l := &load{request: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, address, token, kind, len(body), body)}
	for range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		l.conns, l.in = append(l.conns, c), append(l.in, bufio.NewReader(c))
	}
	return l
}

// run sends n requests and returns how long it took.
func (l *load) run(b *testing.B, n int) time.Duration {
	b.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range connections {
		count := n / connections
		if i < n%connections {
			count++
		}
		wg.Go(func() {
			for range count {
				if err := l.once(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// once sends one request on connection i and reads its answer.
func (l *load) once(i int) error {
	if _, err := l.conns[i].Write(l.request); err != nil {
		return err
	}
	size, chunked := 0, false
	for first := true; ; first = false {
		line, err := l.in[i].ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && string(line) != "HTTP/1.1 200 OK\r\n":
			return fmt.Errorf("got %s", line)
		case len(line) == 2 && chunked: // the end of the header
			return discardChunks(l.in[i])
		case len(line) == 2:
			_, err := l.in[i].Discard(size)
			return err
		}
		if text, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if size, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
				return err
			}
		}
		chunked = chunked || string(line) == "Transfer-Encoding: chunked\r\n"
	}
}

func discardChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := in.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}

// BenchmarkREST compares operations of a running server, with its token, JSON,
// metrics and a log line for each request, with the bare handler. Both run in
// processes of their own, at the same time, and are measured in turns, so that
// what else the machine does hits both.
func BenchmarkREST(b *testing.B) {
	data := b.TempDir()
	bare, ours := spawn(b, "bare"), spawn(b, data)
	b.Cleanup(func() {
		for _, p := range []*process{bare, ours} {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	raw, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		b.Fatal(err)
	}
	token := strings.TrimSpace(string(raw))
	newLoad(b, ours.url, "/v1/keys", "application/json", token, `{"name":"a"}`).create(b)

	message := strings.Repeat("0123456789abcdef", 64) // 1 KiB
	const octets, json = "application/octet-stream", "application/json"
	for _, bm := range []struct{ name, op, kind, body string }{
		{"sign/text", "sign", json, `{"text":"` + message + `"}`},
		{"sign/base64", "sign", json, `{"message":"` + base64.StdEncoding.EncodeToString([]byte(message)) + `"}`},
		{"sign/octets", "sign", octets, message},
		{"verify/text", "verify", json, `{"text":"` + message + `","tag":"` + strings.Repeat("0", 64) + `"}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			x := newLoad(b, bare.url, "/", octets, token, message)
			y := newLoad(b, ours.url, "/v1/keys/a/"+bm.op, bm.kind, token, bm.body)
			compare(b, bare, ours, x, y)
		})
	}
}

func (l *load) create(b *testing.B) {
	b.Helper()
	if _, err := l.conns[0].Write(l.request); err != nil {
		b.Fatal(err)
	}
	answer, err := http.ReadResponse(l.in[0], nil)
	if err != nil || answer.StatusCode != http.StatusCreated {
		b.Fatalf("create key: got %v, %v", answer, err)
	}
}

// compare sends b.N requests to each of two servers, in turns.
func compare(b *testing.B, bareServer, ourServer *process, bare, ours *load) {
	b.Helper()
	compareRuns(b, bareServer, ourServer, connections,
		func(n int) time.Duration { return bare.run(b, n) }, func(n int) time.Duration { return ours.run(b, n) })
}

// compareRuns does b.N operations, or least in each turn, at each of two servers,
// in turns. Beside the rates it reports the processor time that a server spends
// on an operation, which says more where other work slows both down.
func compareRuns(b *testing.B, bareServer, ourServer *process, least int, bare, ours func(n int) time.Duration) {
	b.Helper()
	const turns = 20
	n := max(b.N/turns/least, 1) * least
	var x, y time.Duration
	bareCPU, ourCPU := bareServer.cpu(b), ourServer.cpu(b)
	b.ResetTimer()
	for range turns {
		b.StopTimer()
		x += bare(n)
		b.StartTimer()
		y += ours(n)
	}
	b.StopTimer()
	rate := func(d time.Duration) float64 { return float64(turns*n) / d.Seconds() }
	b.ReportMetric(rate(x), "bare-req/s")
	b.ReportMetric(rate(y), "req/s")
	b.ReportMetric(rate(y)/rate(x), "of-bare")
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(turns*n) }
	b.ReportMetric(each(bareServer.cpu(b)-bareCPU), "bare-cpu-µs/req")
	b.ReportMetric(each(ourServer.cpu(b)-ourCPU), "cpu-µs/req")
}

// cpu returns the processor time that the process has used, from Linux's
// /proc/PID/stat, whose clock ticks are 10 ms.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
