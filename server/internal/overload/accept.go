package overload

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// tooManyConnections is the answer to a connection that is not served.
const tooManyConnections = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// floodLogEvery is how often refused connections are logged.
const floodLogEvery = 10 * time.Second

// Listener bounds how fast one source address opens connections: of IPv6 the
// first 64 bits are one. This machine is not bounded: a proxy on it is everybody.
// Get one from [LimitConnections].
type Listener struct {
	net.Listener
	limit  limit.Limit
	counts *limit.Map
	answer string // to a refused connection; empty with TLS, which cannot be answered
	log    *slog.Logger

	refused  atomic.Int64
	loggedAt time.Time // of Accept only
	logged   int64     // refused until then
}

// LimitConnections returns l with at most rate new connections a second, 1 to
// 1,000,000, from one address, and twice as many at once. What is refused gets
// 429 in plain HTTP, and is only closed with TLS above.
func LimitConnections(l net.Listener, rate int, tls bool, log *slog.Logger) *Listener {
	f := &Listener{
		Listener: l, limit: limit.Limit{Interval: time.Second / time.Duration(rate), Burst: 2 * rate},
		counts: limit.NewMap(time.Now(), 0), log: log,
	}
	if !tls {
		f.answer = tooManyConnections
	}
	return f
}

// Refused returns how many connections were refused since the start.
func (f *Listener) Refused() int64 { return f.refused.Load() }

// Accept returns the next connection that is served.
func (f *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil || f.allowed(conn.RemoteAddr(), time.Now()) {
			return conn, err
		}
		f.refuse(conn)
	}
}

func (f *Listener) allowed(a net.Addr, now time.Time) bool {
	from, err := netip.ParseAddrPort(a.String())
	if err != nil || from.Addr().Unmap().IsLoopback() { // a unix socket has no address
		return true
	}
	return f.counts.Take(limit.Key{Subject: limit.Subject(from.Addr())}, f.limit, 1, now).Wait == 0
}

// refuse closes a connection. A new one has room for the answer, so nothing is
// waited for.
func (f *Listener) refuse(conn net.Conn) {
	n, now := f.refused.Add(1), time.Now()
	if f.answer != "" {
		_ = conn.SetWriteDeadline(now.Add(10 * time.Millisecond))
		_, _ = io.WriteString(conn, f.answer)
	}
	_ = conn.Close()
	if now.Sub(f.loggedAt) >= floodLogEvery {
		f.log.Warn("connections were refused: one address opens too many", "address", conn.RemoteAddr().String(), "refused", n-f.logged)
		f.loggedAt, f.logged = now, n
	}
}
