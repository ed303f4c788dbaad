package rpc

import (
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
)

// What of one Stream is in memory at a time. Who sends more waits.
const (
	readAhead  = 16      // operations that were read and not begun
	underWay   = 64      // operations that wait for a key service, or behind one that does
	underBytes = 4 << 20 // of those
)

// conversation is one Stream.
type conversation struct {
	s      *Server
	stream grpc.ServerStream
	who    *call     // as whom operations are done
	known  time.Time // when that was last found out
	queue  []*reply  // in order
	bytes  int       // of the operations of queue
}

// reply is the result of an operation.
type reply struct {
	done   chan struct{} // closed when there is a result; nil if there is one
	result *pb.Result
	bytes  int
}

func (r *reply) wait() {
	if r.done != nil {
		<-r.done
	}
}

func (r *reply) isDone() bool {
	if r.done == nil {
		return true
	}
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// incoming is an operation that was read, or why there is none.
type incoming struct {
	op  *pb.Operation
	err error
}

// stream serves Stream.
func (s *Server) stream(_ any, stream grpc.ServerStream) error {
	c := s.begin(stream.Context(), "stream")
	err := s.identify(c)
	if err == nil {
		err = mayAny(c.caller, []access.Action{access.KeySign, access.KeyVerify})
	}
	if err != nil {
		p := s.finish(c, err)
		stream.SetTrailer(c.trailer())
		return p.status()
	}
	v := &conversation{s: s, stream: stream, who: c, known: c.op.Start}
	err = v.run()
	for _, r := range v.queue {
		r.wait()
	}
	if err == nil || err == io.EOF {
		return nil
	}
	return problemOf(err).status()
}

// quiets is how often an idle stream is looked at before it ends.
const quiets = 4

// run answers operations until there are no more of them, which is io.EOF. The
// goroutine that reads ends with the call.
func (v *conversation) run() error {
	in := make(chan incoming, readAhead)
	go v.read(in)
	look := time.NewTicker(v.s.o.Limits.Idle / quiets)
	defer look.Stop()
	for quiet := 0; ; {
		next, head := in, (<-chan struct{})(nil)
		if len(v.queue) > 0 {
			head = v.queue[0].done
		}
		if len(v.queue) >= underWay || v.bytes >= underBytes {
			next = nil
		}
		var err error
		select {
		case got := <-next:
			quiet = 0
			if err = got.err; err == nil {
				err = v.do(got.op)
			}
		case <-head:
			quiet = 0
			err = v.send()
		case <-look.C:
			if quiet++; quiet > quiets && len(v.queue) == 0 {
				err = newProblem("timeout", "there was nothing to do for too long")
			}
		case <-v.s.stopping:
			err = newProblem("unavailable", "the server is stopping")
		}
		if err != nil {
			return v.end(err)
		}
	}
}

func (v *conversation) read(in chan<- incoming) {
	for {
		op := new(pb.Operation)
		err := received(v.stream.RecvMsg(op))
		select {
		case in <- incoming{op, err}:
		case <-v.stream.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// do begins an operation, and sends its result if it is the next one. An error
// ends the stream.
func (v *conversation) do(op *pb.Operation) error {
	name, key := "none", ""
	switch q := op.Operation.(type) {
	case *pb.Operation_Sign:
		name, key = "sign", q.Sign.Key
	case *pb.Operation_Verify:
		name, key = "verify", q.Verify.Key
	}
	c := v.s.begin(v.stream.Context(), name)
	if err := v.asWhom(c); err != nil {
		v.s.finish(c, err)
		return err
	}
	if k, err := v.s.o.Keys.Get(c.caller.Tenant, key); err == nil && k.Native() {
		r := &reply{done: make(chan struct{}), bytes: proto.Size(op)}
		go func() {
			defer close(r.done)
			r.result = v.s.result(c, op)
		}()
		v.push(r)
		return nil
	}
	r := &reply{result: v.s.result(c, op)}
	if len(v.queue) > 0 {
		v.push(r)
		return nil
	}
	return sent(v.stream.SendMsg(r.result))
}

func (v *conversation) push(r *reply) {
	v.queue = append(v.queue, r)
	v.bytes += r.bytes
}

// asWhom makes c a call of the caller of the stream, who is looked at again once
// in a while: a token may have ended.
func (v *conversation) asWhom(c *call) error {
	if c.op.Start.Sub(v.known) >= v.s.o.Limits.Recheck {
		if err := v.s.identify(c); err != nil {
			return err
		}
		v.who, v.known = c, c.op.Start
		return nil
	}
	c.caller, c.address, c.op.Caller = v.who.caller, v.who.address, v.who.op.Caller
	return nil
}

// result does one operation.
func (s *Server) result(c *call, op *pb.Operation) *pb.Result {
	r := new(pb.Result)
	err := s.guard(c, func() error {
		if err := s.take(c, 1); err != nil {
			return err
		}
		switch q := op.Operation.(type) {
		case *pb.Operation_Sign:
			answer, err := s.sign(c, q.Sign)
			r.Result = &pb.Result_Signed{Signed: answer}
			return err
		case *pb.Operation_Verify:
			answer, err := s.verify(c, q.Verify)
			r.Result = &pb.Result_Verdict{Verdict: answer}
			return err
		}
		return invalid("operation", "is missing")
	})
	if p := s.finish(c, err); p != nil {
		r.Result = &pb.Result_Problem{Problem: &pb.Problem{Code: p.code, Detail: p.detail, RequestId: c.op.RequestID}}
	}
	return r
}

// send sends the results that are next.
func (v *conversation) send() error {
	for len(v.queue) > 0 && v.queue[0].isDone() {
		r := v.queue[0]
		v.queue = v.queue[1:]
		v.bytes -= r.bytes
		if err := sent(v.stream.SendMsg(r.result)); err != nil {
			return err
		}
	}
	return nil
}

// end sends the results of what was begun, and returns err.
func (v *conversation) end(err error) error {
	for len(v.queue) > 0 {
		v.queue[0].wait()
		if e := v.send(); e != nil {
			return e
		}
	}
	return err
}
