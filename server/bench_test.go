package server_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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

	"github.com/sealwright/sealwright/api"
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

// guarded is a server in its own process with a key a, and the token of a caller
// who may sign and verify. Each request meets a policy of 20 rules, of which 5
// reach their expression, and limits of its caller, its key and its tenant.
func guarded(b *testing.B, env ...string) (p *process, data, token string) {
	b.Helper()
	data = b.TempDir()
	config := filepath.Join(data, "sealwright.yaml")
	text := "limits:\n  rules:\n"
	for _, scope := range []string{"caller", "key", "tenant"} {
		text += "    - {name: " + scope + ", scope: " + scope + ", rate: 1000000, per: second}\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	p = spawn(b, data, append(env, "SEALWRIGHT_TEST_CONFIG="+config)...)
	b.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	raw, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		b.Fatal(err)
	}
	admin := strings.TrimSpace(string(raw))
	rules := make([]string, 20)
	for i := range rules {
		key := "other-*"
		if i%4 == 0 {
			key = "a*"
		}
		rules[i] = fmt.Sprintf(`{"id":"r%d","match":{"key":["%s"]},"when":"environment == 'test' && target == 'bank%d'","deny":true}`, i, key, i)
	}
	for path, body := range map[string]string{
		"/v1/keys":     `{"name":"a"}`,
		"/v1/policies": `{"id":"p","rules":[` + strings.Join(rules, ",") + `]}`,
		"/v1/callers":  `{"name":"c","grants":[{"role":"signer"},{"role":"verifier"}]}`,
	} {
		newLoad(b, p.url, path, "application/json", admin, body).create(b)
	}
	var made api.Credential
	answer := newLoad(b, p.url, "/v1/callers/c/credentials", "application/json", admin, `{"kind":"token"}`).create(b)
	if err := json.Unmarshal(answer, &made); err != nil || made.Secret == "" {
		b.Fatalf("make a token: %v", err)
	}
	return p, data, made.Secret
}

// BenchmarkREST compares operations of a [guarded] server, with its JSON,
// metrics and a log line for each request, with the bare handler. Both run in
// processes of their own, at the same time, and are measured in turns, so that
// what else the machine does hits both.
func BenchmarkREST(b *testing.B) {
	bare := spawn(b, "bare")
	b.Cleanup(func() {
		_ = bare.Process.Kill()
		_ = bare.Wait()
	})
	ours, _, token := guarded(b)

	message := strings.Repeat("0123456789abcdef", 64) // 1 KiB
	const octets, text = "application/octet-stream", "application/json"
	for _, bm := range []struct{ name, op, kind, body string }{
		{"sign/text", "sign", text, `{"text":"` + message + `"}`},
		{"sign/base64", "sign", text, `{"message":"` + base64.StdEncoding.EncodeToString([]byte(message)) + `"}`},
		{"sign/octets", "sign", octets, message},
		{"verify/text", "verify", text, `{"text":"` + message + `","tag":"` + strings.Repeat("0", 64) + `"}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			x := newLoad(b, bare.url, "/", octets, token, message)
			y := newLoad(b, ours.url, "/v1/keys/a/"+bm.op, bm.kind, token, bm.body)
			compare(b, bare, ours, x, y)
		})
	}
}

// create sends the request once and returns the answer, which must be 201.
func (l *load) create(b *testing.B) []byte {
	b.Helper()
	if _, err := l.conns[0].Write(l.request); err != nil {
		b.Fatal(err)
	}
	answer, err := http.ReadResponse(l.in[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusCreated {
		b.Fatalf("create: got %s %s, %v", answer.Status, text, err)
	}
	return text
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
