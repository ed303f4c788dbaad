package rpc

import (
	"crypto/sha512"
	"fmt"
	"io"

	"google.golang.org/grpc"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
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
	key, err := s.find(c, access.KeySign, q.Key, q.Purpose, q.Context, 1)
	if err != nil {
		return nil, err
	}
	c.op.Version = key.Signing
	defer s.bound(c, key)()
	answer := &pb.Signed{}
	return answer, c.signOne(answer, key, q.Message, -1, make([]byte, 0, key.Algorithm.Size()))
}

// signOne writes the tag of a message into answer. The tag is appended to space.
func (c *call) signOne(answer *pb.Signed, key *custody.Key, message []byte, item int, space []byte) error {
	content, err := c.content(message, item)
	if err != nil {
		return err
	}
	tag, version, err := key.Make(c.ctx, space, content)
	if err != nil {
		return err
	}
	c.signed(answer, key, tag, version)
	return nil
}

func (c *call) signed(answer *pb.Signed, key *custody.Key, tag []byte, version int) {
	c.op.Version = version
	c.op.Valid++
	answer.Tag, answer.Key, answer.Version, answer.Algorithm = tag, key.Name, int32(version), key.Algorithm.String()
	answer.Signature = key.Signature(tag, version).String()
	answer.Covers, answer.Construction = construction(key)
}

func (s *Server) signBatch(c *call, q *pb.SignBatchRequest) (*pb.SignedBatch, error) {
	key, err := s.findForBatch(c, access.KeySign, q.Key, q.Purpose, q.Context, len(q.Items))
	if err != nil {
		return nil, err
	}
	c.op.Version = key.Signing
	defer s.bound(c, key)()
	results, size := make([]pb.Signed, len(q.Items)), key.Algorithm.Size()
	answer, tags := &pb.SignedBatch{Items: make([]*pb.Signed, len(results))}, make([]byte, len(results)*size)
	for i := range results {
		answer.Items[i] = &results[i]
		err := c.signOne(&results[i], key, q.Items[i].GetMessage(), i, tags[i*size:i*size:(i+1)*size])
		if results[i].Error, err = c.item(i, err); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// findForBatch is find for a batch.
func (s *Server) findForBatch(c *call, action access.Action, name string, purpose, derive *string, items int) (*custody.Key, error) {
	if items > s.o.Limits.Items {
		return nil, newProblem("too-large", fmt.Sprintf("items: more than %d items", s.o.Limits.Items))
	}
	key, err := s.find(c, action, name, purpose, derive, items)
	if err == nil {
		c.op.Outcome, c.op.Items = operation.OK, items
	}
	return key, err
}

// item returns why an item cannot be processed, and everything else that went
// wrong as an error.
func (c *call) item(index int, err error) (*pb.ItemError, error) {
	bad, ok := err.(*badItem)
	if !ok {
		return nil, err
	}
	c.op.Failed++
	return &pb.ItemError{Index: int32(index), Location: bad.location, Detail: bad.detail}, nil
}

// signUpload signs a message of any size while it comes.
func (s *Server) signUpload(c *call, stream grpc.ServerStream) error {
	q := new(pb.SignRequest)
	if err := s.first(stream, q); err != nil {
		return err
	}
	key, err := s.find(c, access.KeySign, q.Key, q.Purpose, q.Context, 1)
	if err != nil {
		return err
	}
	to, err := key.SignStream()
	if err != nil {
		return err
	}
	defer to.Close()
	for err == nil {
		if q.Message == nil {
			return invalid("message", "is missing")
		}
		_, _ = to.Write(q.Message) // it takes everything
		c.op.Bytes += int64(len(q.Message))
		q = new(pb.SignRequest)
		if err = receive(stream, q, s.o.Limits.Progress); err == nil && (q.Key != "" || q.Purpose != nil || q.Context != nil) {
			return onlyMessage()
		}
	}
	if err != io.EOF {
		return err
	}
	defer s.bound(c, key)()
	tag, version, err := to.Sign(c.ctx, make([]byte, 0, maxTag))
	if err != nil {
		return err
	}
	answer := &pb.Signed{}
	c.signed(answer, key, tag, version)
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
