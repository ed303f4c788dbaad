package overload_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/overload"
)

// listener has connections from addresses that the test chooses.
type listener struct {
	net.Listener
	conns []*conn
}

func (l *listener) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		return nil, errors.New("no more")
	}
	c := l.conns[0]
	l.conns = l.conns[1:]
	return c, nil
}

// conn is a connection that keeps what is written to it.
type conn struct {
	net.Conn
	from   string
	text   string
	closed bool
}

func (c *conn) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", c.from)
	if err != nil {
		return &net.UnixAddr{Name: c.from, Net: "unix"}
	}
	return a
}
func (c *conn) Write(b []byte) (int, error)      { c.text += string(b); return len(b), nil }
func (c *conn) Close() error                     { c.closed = true; return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestLimitConnections(t *testing.T) {
	tests := []struct {
		name     string
		from     []string // in turn
		rate     int
		accepted int // of 1000, at least; all in the same moment, more or less
		most     int
	}{
		{"OneAddress", []string{"192.0.2.1:1"}, 1, 2, 100},
		{"OtherPorts", []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"}, 1, 2, 100},
		{"ManyAddresses", []string{"192.0.2.1:1", "192.0.2.2:1"}, 250, 1000, 1000},
		{"SameIPv6Network", []string{"[2001:db8::1]:1", "[2001:db8::2]:1"}, 1, 2, 100},
		{"ThisMachine", []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}, 1, 1000, 1000},
		{"UnixSocket", []string{"@"}, 1, 1000, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner := &listener{}
			for i := range 1000 {
				inner.conns = append(inner.conns, &conn{from: tt.from[i%len(tt.from)]})
			}
			all := inner.conns
			l := overload.LimitConnections(inner, tt.rate, false, quiet())
			accepted := 0
			for {
				c, err := l.Accept()
				if err != nil {
					break
				}
				if accepted++; c.(*conn).closed {
					t.Error("an accepted connection is closed")
				}
			}
			if accepted < tt.accepted || accepted > tt.most || int64(accepted)+l.Refused() != 1000 {
				t.Errorf("got %d accepted and %d refused, want %d to %d accepted", accepted, l.Refused(), tt.accepted, tt.most)
			}
			for _, c := range all {
				if c.closed != (c.text != "") {
					t.Fatalf("got closed %t and answer %q", c.closed, c.text)
				}
			}
		})
	}
}

// A refused connection gets an answer that clients understand, unless it is one
// of TLS.
func TestLimitConnectionsAnswer(t *testing.T) {
	for _, tls := range []bool{false, true} {
		inner := &listener{}
		for range 100 {
			inner.conns = append(inner.conns, &conn{from: "192.0.2.1:1"})
		}
		last := inner.conns[99]
		l := overload.LimitConnections(inner, 1, tls, quiet())
		for {
			if _, err := l.Accept(); err != nil {
				break
			}
		}
		if tls {
			if !last.closed || last.text != "" {
				t.Errorf("with TLS: got closed %t, %q", last.closed, last.text)
			}
			continue
		}
		near, far := net.Pipe()
		var group sync.WaitGroup
		group.Go(func() { // a server that answers so
			defer near.Close()
			_, _ = http.ReadRequest(bufio.NewReader(near))
			_, _ = io.WriteString(near, last.text)
		})
		client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return far, nil }}}
		r, err := client.Get("http://localhost/")
		if err != nil || r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "1" {
			t.Errorf("got %+v, %v", r, err)
		}
		if r != nil {
			_ = r.Body.Close()
		}
		_ = far.Close()
		group.Wait()
	}
}
