package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/operation"
)

// Names of metadata. They are those of the HTTP headers, as gRPC spells them.
const (
	mdAuthorization = "authorization"
	mdTenant        = "sealwright-tenant"
	mdRequestID     = "x-request-id"
)

// call is one operation with what is known of it.
type call struct {
	ctx     context.Context
	cancel  context.CancelFunc // of the time for key services; nil if none is asked
	caller  access.Caller
	address string // of the peer, with its port
	op      operation.Report
	left    limit.Result // of the limits; for the trailer of a refusal
}

func (s *Server) begin(ctx context.Context, name string) *call {
	return &call{ctx: ctx, left: limit.Result{OK: true}, op: operation.Report{Name: name, RequestID: s.requests.Next(), Start: s.o.Now()}}
}

// handler does one operation: it reads the request and sends the answer.
type handler func(*call, grpc.ServerStream) error

// operation makes a handler of gRPC of h that demands a known caller who may do
// one of actions, and reports what happened.
func (s *Server) operation(name string, actions []access.Action, h handler) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		c := s.begin(stream.Context(), name)
		err := s.guard(c, func() error {
			if err := s.admit(c, actions); err != nil {
				return err
			}
			return h(c, stream)
		})
		p := s.finish(c, err)
		if p == nil {
			return nil
		}
		stream.SetTrailer(c.trailer())
		return p.status()
	}
}

// guard calls f in its turn, and turns a panic into an error.
func (s *Server) guard(c *call, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("panic", "op", c.op.Name, "request_id", c.op.RequestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = newProblem("internal", "internal error")
		}
	}()
	if s.o.Turns != nil {
		if !s.o.Turns.Enter(c.ctx) {
			return newProblem("unavailable", "the server has too much to do")
		}
		defer s.o.Turns.Leave()
	}
	return f()
}

// admit finds out who calls, counts it, and decides whether there can be
// something to which the caller may do one of actions.
func (s *Server) admit(c *call, actions []access.Action) error {
	if err := s.identify(c); err != nil {
		return err
	}
	if err := s.take(c, 1); err != nil {
		return err
	}
	return mayAny(c.caller, actions)
}

func mayAny(caller access.Caller, actions []access.Action) (refusal error) {
	for _, a := range actions {
		err := access.AllowSome(caller, a)
		if err == nil {
			return nil
		}
		refusal = err
	}
	return refusal
}

// finish reports the operation, and returns what the caller may know of err, nil
// for nothing.
func (s *Server) finish(c *call, err error) *problem {
	if c.cancel != nil {
		c.cancel()
	}
	c.op.Status = http.StatusOK
	var p *problem
	if err != nil {
		p = problemOf(err)
		if p.kind.status >= http.StatusInternalServerError && !errors.Is(err, p) {
			s.o.Log.Error("operation failed", "op", c.op.Name, "request_id", c.op.RequestID, "error", err.Error())
		}
		c.op.Status, c.op.Reason = p.kind.status, p.code
	}
	c.op.End(s.o.Now())
	if s.o.Record != nil {
		s.o.Record(c.op)
	}
	return p
}

// trailer says under which name the log has the call, and what is left of a
// limit that refused it.
func (c *call) trailer() metadata.MD {
	md := metadata.Pairs(mdRequestID, c.op.RequestID)
	if !c.left.OK {
		h := http.Header{}
		c.left.SetHeader(h)
		for name, values := range h {
			md.Append(name, values...)
		}
	}
	return md
}

// identify finds out who calls, and in which tenant.
func (s *Server) identify(c *call) error {
	r := requestOf(c.ctx)
	c.address = r.RemoteAddr
	for _, name := range [...]string{"signature", "signature-input"} {
		if len(metadata.ValueFromIncomingContext(c.ctx, name)) > 0 {
			return s.unknown(c, r, fault.New(fault.Denied, "not authenticated: the call has %s, but signed requests are for HTTP", name))
		}
	}
	caller, err := s.o.Authenticate(r)
	if err != nil {
		return s.unknown(c, r, err)
	}
	c.caller, c.op.Caller = caller, caller.ID
	switch names := metadata.ValueFromIncomingContext(c.ctx, mdTenant); len(names) {
	case 0:
		return nil
	case 1:
		c.caller, err = s.o.Tenants.Enter(caller, names[0])
		return err
	default:
		return invalid(mdTenant, "stands twice")
	}
}

// requestOf returns what of a call says who sent it, as a request of HTTP.
func requestOf(ctx context.Context) *http.Request {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}, Body: http.NoBody}
	if values := metadata.ValueFromIncomingContext(ctx, mdAuthorization); len(values) > 0 {
		r.Header["Authorization"] = values
	}
	if p, ok := peer.FromContext(ctx); ok {
		r.RemoteAddr = addressOf(p.Addr)
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &info.State
		}
	}
	return r.WithContext(ctx)
}

func addressOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().String()
	}
	return a.String()
}

// unknown returns what who is not authenticated may know, as the HTTP API does.
// The log knows why.
func (s *Server) unknown(c *call, r *http.Request, err error) error {
	var many limit.TooMany
	if errors.As(err, &many) { // the log has the operation, and no more
		return newProblem("rate-limited", "too many attempts from this address have failed: try again later")
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Unavailable:
		return err
	case fault.Denied:
		s.o.Log.Info("not authenticated", "op", c.op.Name, "request_id", c.op.RequestID, "peer", r.RemoteAddr, "error", err.Error())
	default:
		s.o.Log.Error("cannot authenticate", "op", c.op.Name, "request_id", c.op.RequestID, "error", err.Error())
	}
	return newProblem("unauthorized", "a valid token is needed: see the metadata authorization in the description of the API")
}

// take counts units of the caller, his tenant and his address.
func (s *Server) take(c *call, units int) error {
	if s.o.Limiter == nil || !s.o.Limiter.Active() {
		return nil
	}
	r := limit.Request{Tenant: c.caller.Tenant, Caller: c.caller.ID}
	if from, err := netip.ParseAddrPort(c.address); err == nil {
		r.Address = from.Addr()
	}
	return c.limited(s.o.Limiter.Check(c.ctx, r, units))
}

// takeItems counts the items of a batch, of which the first one was counted with
// the call. No items are one message.
func (s *Server) takeItems(c *call, key string, items int) error {
	if s.o.Limiter == nil || !s.o.Limiter.Active() {
		return nil
	}
	if items > 1 {
		if err := s.take(c, items-1); err != nil {
			return err
		}
	}
	return c.limited(s.o.Limiter.CheckKey(c.ctx, c.caller.Tenant, key, max(items, 1)))
}

func (c *call) limited(r limit.Result) error {
	c.left = r
	switch {
	case r.OK:
		return nil
	case r.RetryAfter == 0:
		return newProblem("rate-limited", "this is more at once than the limit allows")
	}
	return newProblem("rate-limited", "this is more than the limit allows: try again later")
}

// unary makes a handler of a function from one request to one answer.
func unary[Q any, A proto.Message](s *Server, do func(*call, *Q) (A, error)) handler {
	return func(c *call, stream grpc.ServerStream) error {
		q := new(Q)
		if err := receive(stream, q, s.o.Limits.Progress); err != nil {
			return err
		}
		answer, err := do(c, q)
		if err != nil {
			return err
		}
		return sent(stream.SendMsg(answer))
	}
}

// receive reads the next request into m, for at most patience. If it returns an
// error the call must end, which also ends the goroutine. The end of the requests
// is io.EOF.
func receive(stream grpc.ServerStream, m any, patience time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- stream.RecvMsg(m) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-ended:
		return received(err)
	case <-timer.C:
		return newProblem("timeout", "the next request came too slowly")
	}
}

// sent makes a problem of an answer that could not be sent: the client has gone.
func sent(err error) error {
	if err == nil {
		return nil
	}
	return received(errors.Join(err, io.ErrUnexpectedEOF))
}
