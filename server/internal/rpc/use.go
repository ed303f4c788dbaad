package rpc

import (
	"context"
	"slices"

	"github.com/sealwright/sealwright/api"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// asked is what of a request says which key is to be used, and how.
type asked struct {
	action          access.Action
	name            string
	purpose, derive *string // nil for nothing said; an empty text is something said, and wrong
	bind            bool
}

// use is a key that may be used for a message.
type use struct {
	key    *custody.Key
	prefix []byte // stands before the message; nil means that no metadata is bound
}

// behind returns content after the prefix.
func (u use) behind(content []byte) []byte {
	if u.prefix == nil {
		return content
	}
	return slices.Concat(u.prefix, content)
}

// find decides whether the caller may use the key that is named at all, and
// counts items of it.
func (s *Server) find(c *call, a asked, items int) error {
	if custody.ValidName(a.name) { // somebody may have put a secret in its place
		c.op.Key = a.name
	}
	key, err := s.o.Keys.Find(c.caller, a.action, a.name)
	if err != nil {
		return err
	}
	c.uses(key, a.action)
	return s.takeItems(c, a.name, items)
}

// uses notes a key that is used for action.
func (c *call) uses(key *custody.Key, action access.Action) {
	c.op.Key, c.op.KeyID, c.op.Algorithm = key.Name, key.ID, key.Algorithm.String()
	if action == access.KeySign {
		c.op.Version = key.Signing
	}
}

// choose returns the key to use for messages with metadata m, which may be
// another one than is named.
func (s *Server) choose(c *call, a asked, m *api.Metadata) (use, error) {
	if err := m.Check(); err != nil {
		return use{}, invalid("metadata", "%v", err)
	}
	key, d, err := s.o.Prepare(c.ctx, policy.Request{
		Caller: c.caller, Action: a.action, Key: a.name, Purpose: deref(a.purpose), Metadata: m, Address: c.address,
	})
	c.op.Audit = string(d.Audit)
	if d.Denied {
		c.op.Rule, c.op.Why = d.Rule, d.Reason
	}
	if err != nil {
		return use{}, err
	}
	if key.Name != a.name {
		c.op.Asked = a.name
	}
	c.uses(key, a.action)
	if key, err = narrow(key, a.purpose, a.derive); err != nil {
		return use{}, err
	}
	if !a.bind {
		return use{key: key}, nil
	}
	if m == nil {
		return use{}, invalid("bind_metadata", "there is no metadata to bind")
	}
	key, err = key.Bound()
	return use{key, m.AppendCanonical(nil)}, err
}

// one finds and chooses the key of a single message.
func (s *Server) one(c *call, a asked, m *pb.Metadata) (use, error) {
	if err := s.find(c, a, 1); err != nil {
		return use{}, err
	}
	if err := c.describe(m); err != nil {
		return use{}, err
	}
	return s.choose(c, a, c.op.Metadata)
}

// describe notes metadata for the log, where only what is within its bounds may
// stand.
func (c *call) describe(m *pb.Metadata) error {
	described := metadataOf(m)
	if err := described.Check(); err != nil {
		return invalid("metadata", "%v", err)
	}
	c.op.Metadata = described
	return nil
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// narrow returns the key to use for a purpose and a context.
func narrow(key *custody.Key, purpose, derive *string) (*custody.Key, error) {
	if purpose != nil {
		if *purpose == "" {
			return nil, invalid("purpose", "empty, leave it out if the purpose does not matter")
		}
		if err := key.CheckPurpose(*purpose); err != nil {
			return nil, err
		}
	}
	if derive == nil {
		return key, nil
	}
	return key.Derive(*derive)
}

// metadataOf returns nil for nothing.
func metadataOf(m *pb.Metadata) *api.Metadata {
	if m == nil {
		return nil
	}
	return &api.Metadata{
		Environment: m.Environment, Source: m.Source, Target: m.Target, Resource: m.Resource, Classes: m.Classes, Labels: m.Labels,
	}
}

// limitDevice ends the context of an operation with a native key after the time
// that it has for the key service. [Server.finish] frees what that holds.
func (s *Server) limitDevice(c *call, key *custody.Key) {
	if key.Native() && c.cancel == nil {
		c.ctx, c.cancel = context.WithTimeout(c.ctx, s.o.Limits.Device)
	}
}
