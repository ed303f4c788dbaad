package rpc

import (
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/sealwright/sealwright"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/operation"
)

// claimOf decodes the tag or the signature. An error of [refuses] is an answer.
func claimOf(key *custody.Key, tag []byte, signature *string, item int) (custody.Claim, error) {
	switch {
	case tag != nil && signature != nil:
		return custody.Claim{}, invalid(place(item, ""), "both tag and signature are given, want one of them")
	case tag != nil:
		return key.TagClaim(tag)
	case signature != nil:
		return custody.SignatureClaim(*signature)
	}
	return custody.Claim{}, invalid(place(item, ""), "tag or signature is missing")
}

// refuses reports whether err is about the message, which is not valid then.
func refuses(err error) bool {
	return errors.Is(err, sealwright.ErrMalformed) || errors.Is(err, sealwright.ErrMissing)
}

func (s *Server) verify(c *call, q *pb.VerifyRequest) (*pb.Verdict, error) {
	u, err := s.one(c, asked{access.KeyVerify, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata)
	if err != nil {
		return nil, err
	}
	s.limitDevice(c, u.key)
	v, err := c.verifyOne(u, q.Message, q.Tag, q.Signature, -1)
	if err != nil {
		return nil, err
	}
	answer := &pb.Verdict{}
	c.conclude(answer, u, v)
	return answer, nil
}

// verifyOne verifies a message. The error is a [*badItem] if there is nothing to
// verify, and of kind [fault.Unavailable] if it is not known whether it is valid.
func (c *call) verifyOne(u use, message, tag []byte, signature *string, item int) (custody.Verdict, error) {
	claim, err := claimOf(u.key, tag, signature, item)
	if err != nil && !refuses(err) {
		return custody.Verdict{}, err
	}
	content, missing := c.content(message, item)
	if missing != nil {
		return custody.Verdict{}, missing
	}
	if err != nil {
		return custody.Refused(0, err), nil
	}
	return u.key.Check(c.ctx, claim, u.behind(content))
}

// conclude writes a verdict into answer, and into the report of a single
// operation.
func (c *call) conclude(answer *pb.Verdict, u use, v custody.Verdict) {
	c.op.Outcome, c.op.Reason = operation.Valid, string(v.Reason)
	if !v.Valid {
		c.op.Outcome = operation.Invalid
	}
	c.concludeItem(answer, u, v)
}

func (c *call) concludeItem(answer *pb.Verdict, u use, v custody.Verdict) {
	key := u.key
	c.op.Version = v.Version
	if v.Valid {
		c.op.Valid++
		state, until := key.Standing(v.Version)
		answer.State, answer.NotAfter = string(state), instantOf(until)
	}
	answer.Valid, answer.Reason, answer.Detail = v.Valid, string(v.Reason), v.Detail
	answer.Key, answer.KeyId, answer.Version, answer.Algorithm = key.Name, key.ID, int32(v.Version), key.Algorithm.String()
	answer.Covers, answer.Construction = construction(key)
	answer.Bound = u.prefix != nil
}

func (s *Server) verifyBatch(c *call, q *pb.VerifyBatchRequest) (*pb.VerdictBatch, error) {
	results := make([]pb.Verdict, len(q.Items))
	answer := &pb.VerdictBatch{Items: make([]*pb.Verdict, len(results))}
	err := s.batch(c, asked{access.KeyVerify, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata, len(results),
		func(i int) *pb.Metadata { return q.Items[i].Metadata },
		func(i int, u use) error {
			answer.Items[i] = &results[i]
			m := q.Items[i]
			v, err := c.verifyOne(u, m.Message, m.Tag, m.Signature, i)
			if err == nil {
				c.concludeItem(&results[i], u, v)
			}
			return err
		},
		func(i int, e *pb.ItemError) { answer.Items[i] = &pb.Verdict{Error: e} })
	return answer, err
}

// verifyUpload verifies a message of any size while it comes. What can be refused
// without the message is refused before it is read.
func (s *Server) verifyUpload(c *call, stream grpc.ServerStream) error {
	q := new(pb.VerifyRequest)
	if err := s.first(stream, q); err != nil {
		return err
	}
	u, err := s.one(c, asked{access.KeyVerify, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata)
	if err != nil {
		return err
	}
	v, err := s.checkUpload(c, stream, u, q)
	if err != nil {
		return err
	}
	answer := &pb.Verdict{}
	c.conclude(answer, u, v)
	return sent(stream.SendMsg(answer))
}

func (s *Server) checkUpload(c *call, stream grpc.ServerStream, u use, q *pb.VerifyRequest) (custody.Verdict, error) {
	claim, err := claimOf(u.key, q.Tag, q.Signature, -1)
	if refuses(err) {
		return custody.Refused(0, err), nil
	}
	if err != nil {
		return custody.Verdict{}, err
	}
	to, err := u.key.CheckStream(claim)
	if err != nil {
		return custody.Verdict{}, err
	}
	defer to.Close()
	_, _ = to.Write(u.prefix) // it takes everything, like the rest
	for err == nil {
		if q.Message == nil {
			return custody.Verdict{}, invalid("message", "is missing")
		}
		_, _ = to.Write(q.Message)
		c.op.Bytes += int64(len(q.Message))
		q = new(pb.VerifyRequest)
		err = receive(stream, q, s.o.Limits.Progress)
		if err == nil && (q.Key != "" || q.Purpose != nil || q.Context != nil || q.Tag != nil || q.Signature != nil || q.Metadata != nil || q.BindMetadata) {
			return custody.Verdict{}, onlyMessage()
		}
	}
	if err != io.EOF {
		return custody.Verdict{}, err
	}
	s.limitDevice(c, u.key)
	return to.Check(c.ctx)
}
