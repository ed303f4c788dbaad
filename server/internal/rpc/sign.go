package rpc

import (
	"crypto/sha512"
	"fmt"
	"io"

	"google.golang.org/grpc"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/operation"
)

// maxTag is the size in bytes of the longest tag.
const maxTag = sha512.Size

// covers is what tags by native keys cover.
const covers = "digest"

// construction says of an answer that its tag is not that of the message; both
// texts are empty for an ordinary key.
func construction(key *custody.Key) (covered, how string) {
	if key.Native() {
		return covers, kms.Construction
	}
	return "", ""
}

// place returns where the field name of the item stands, -1 for no batch.
func place(item int, name string) string {
	switch {
	case item < 0 && name == "":
		return "request"
	case item < 0:
		return name
	case name == "":
		return fmt.Sprintf("items[%d]", item)
	}
	return fmt.Sprintf("items[%d].%s", item, name)
}

// content returns the message, and counts it.
func (c *call) content(message []byte, item int) ([]byte, error) {
	if message == nil {
		return nil, invalid(place(item, ""), "message is missing")
	}
	c.op.Bytes += int64(len(message))
	return message, nil
}

func (s *Server) sign(c *call, q *pb.SignRequest) (*pb.Signed, error) {
	u, err := s.one(c, asked{access.KeySign, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata)
	if err != nil {
		return nil, err
	}
	s.limitDevice(c, u.key)
	answer := &pb.Signed{}
	return answer, c.signOne(answer, u, q.Message, -1)
}

// signOne writes the tag of a message into answer.
func (c *call) signOne(answer *pb.Signed, u use, message []byte, item int) error {
	content, err := c.content(message, item)
	if err != nil {
		return err
	}
	tag, version, err := u.key.Make(c.ctx, make([]byte, 0, u.key.Algorithm.Size()), u.behind(content))
	if err != nil {
		return err
	}
	c.signed(answer, u, tag, version)
	return nil
}

func (c *call) signed(answer *pb.Signed, u use, tag []byte, version int) {
	c.op.Version = version
	c.op.Valid++
	answer.Tag, answer.Key, answer.Version, answer.Algorithm = tag, u.key.Name, int32(version), u.key.Algorithm.String()
	answer.Signature = u.key.Signature(tag, version).String()
	answer.Covers, answer.Construction = construction(u.key)
	answer.Bound = u.prefix != nil
}

func (s *Server) signBatch(c *call, q *pb.SignBatchRequest) (*pb.SignedBatch, error) {
	results := make([]pb.Signed, len(q.Items))
	answer := &pb.SignedBatch{Items: make([]*pb.Signed, len(results))}
	err := s.batch(c, asked{access.KeySign, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata, len(results),
		func(i int) *pb.Metadata { return q.Items[i].Metadata },
		func(i int, u use) error {
			answer.Items[i] = &results[i]
			return c.signOne(&results[i], u, q.Items[i].Message, i)
		},
		func(i int, e *pb.ItemError) { answer.Items[i] = &pb.Signed{Error: e} })
	return answer, err
}

// batch does the items of a batch with the metadata all, or that which of returns
// for an item that has its own. An item that cannot be processed is given to
// failed; the others are not concerned.
func (s *Server) batch(c *call, a asked, all *pb.Metadata, items int, of func(int) *pb.Metadata, do func(int, use) error, failed func(int, *pb.ItemError)) error {
	if items > s.o.Limits.Items {
		return newProblem("too-large", fmt.Sprintf("items: more than %d items", s.o.Limits.Items))
	}
	if err := s.find(c, a, items); err != nil {
		return err
	}
	if err := c.describe(all); err != nil {
		return err
	}
	inherits := items == 0
	for i := 0; i < items && !inherits; i++ {
		inherits = of(i) == nil
	}
	var u use
	var err error
	if inherits {
		if u, err = s.choose(c, a, c.op.Metadata); err != nil {
			return err
		}
		s.limitDevice(c, u.key)
	}
	c.op.Outcome, c.op.Items = operation.OK, items
	for i := range items {
		own, err := u, error(nil)
		if m := of(i); m != nil {
			if own, err = s.chooseItem(c, a, m, i); err == nil {
				s.limitDevice(c, own.key)
			}
		}
		if err == nil {
			err = do(i, own)
		}
		bad, isBad := err.(*badItem)
		switch {
		case isBad:
			c.op.Failed++
			failed(i, &pb.ItemError{Index: int32(i), Location: bad.location, Detail: bad.detail})
		case err != nil:
			return err
		}
	}
	return nil
}

// chooseItem is choose for an item with metadata of its own. What is denied or
// wrong is a [*badItem] then.
func (s *Server) chooseItem(c *call, a asked, m *pb.Metadata, item int) (use, error) {
	u, err := s.choose(c, a, metadataOf(m))
	bad, isBad := err.(*badItem)
	switch {
	case isBad:
		err = invalid(place(item, bad.location), "%s", bad.detail)
	case fault.KindOf(err) == fault.Denied:
		err = invalid(place(item, ""), "%s", fault.Public(err))
	}
	return u, err
}

// signUpload signs a message of any size while it comes.
func (s *Server) signUpload(c *call, stream grpc.ServerStream) error {
	q := new(pb.SignRequest)
	if err := s.first(stream, q); err != nil {
		return err
	}
	u, err := s.one(c, asked{access.KeySign, q.Key, q.Purpose, q.Context, q.BindMetadata}, q.Metadata)
	if err != nil {
		return err
	}
	to, err := u.key.SignStream()
	if err != nil {
		return err
	}
	defer to.Close()
	_, _ = to.Write(u.prefix) // it takes everything, like the rest
	for err == nil {
		if q.Message == nil {
			return invalid("message", "is missing")
		}
		_, _ = to.Write(q.Message)
		c.op.Bytes += int64(len(q.Message))
		q = new(pb.SignRequest)
		if err = receive(stream, q, s.o.Limits.Progress); err == nil && (q.Key != "" || q.Purpose != nil || q.Context != nil || q.Metadata != nil || q.BindMetadata) {
			return onlyMessage()
		}
	}
	if err != io.EOF {
		return err
	}
	s.limitDevice(c, u.key)
	tag, version, err := to.Sign(c.ctx, make([]byte, 0, maxTag))
	if err != nil {
		return err
	}
	answer := &pb.Signed{}
	c.signed(answer, u, tag, version)
	return sent(stream.SendMsg(answer))
}

// first reads the first request of an upload.
func (s *Server) first(stream grpc.ServerStream, m any) error {
	err := receive(stream, m, s.o.Limits.Progress)
	if err == io.EOF {
		return newProblem("malformed", "there is no request")
	}
	return err
}

func onlyMessage() error {
	return invalid("request", "all but the first of an upload may have nothing but message")
}
