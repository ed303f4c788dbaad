package rest

import (
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// use is a key that may be used for a message.
type use struct {
	key    *custody.Key
	prefix []byte // stands before the message; nil means that no metadata is bound
}

// uses notes a key that is used for action.
func (x *exchange) uses(key *custody.Key, action access.Action) {
	x.op.Key, x.op.KeyID, x.op.Algorithm = key.Name, key.ID, key.Algorithm.String()
	if action == access.KeySign {
		x.op.Version = key.Signing
	}
}

// prepare asks for the key to use in place of the one that is named.
func (a *API) prepare(x *exchange, action access.Action, name, purpose string, m *api.Metadata) (*custody.Key, error) {
	key, d, err := a.o.Prepare(x.r.Context(), policy.Request{
		Caller: x.caller, Action: action, Key: name, Purpose: purpose, Metadata: m, Address: x.r.RemoteAddr,
	})
	x.op.Audit = string(d.Audit)
	if d.Denied {
		x.op.Rule, x.op.Why = d.Rule, d.Reason
	}
	if err != nil {
		return nil, err
	}
	if key.Name != name {
		x.op.Asked = name
	}
	return key, nil
}

// choose prepares a message of the body with metadata m.
func (a *API) choose(x *exchange, action access.Action, m *api.Metadata) (use, error) {
	b := &x.batch
	key, err := a.prepare(x, action, x.r.PathValue("name"), string(b.purpose), m)
	if err != nil {
		return use{}, err
	}
	x.uses(key, action)
	if key, err = narrow(key, b.purpose, b.context); err != nil {
		return use{}, err
	}
	a.bind(x, key)
	return withMetadata(key, m, b.bind)
}

// streamed prepares a body that is the message itself, by its headers.
func (a *API) streamed(x *exchange, action access.Action) (use, error) {
	m, bind, err := metadataOf(x.r.Header)
	if err != nil {
		return use{}, err
	}
	var values [2][]byte
	for i, name := range [...]string{headerPurpose, headerContext} {
		text, ok, err := oneHeader(x.r.Header, name)
		if err != nil {
			return use{}, err
		}
		if ok {
			values[i] = []byte(text)
		}
	}
	name := x.r.PathValue("name")
	if err := a.takeKey(x, name, 1); err != nil {
		return use{}, err
	}
	x.op.Metadata = m
	key, err := a.prepare(x, action, name, string(values[0]), m)
	if err != nil {
		return use{}, err
	}
	x.uses(key, action)
	if key, err = narrow(key, values[0], values[1]); err != nil {
		return use{}, err
	}
	return withMetadata(key, m, bind)
}

// withMetadata returns the use of a key for messages to which m is bound, if it
// is to be.
func withMetadata(key *custody.Key, m *api.Metadata, bind bool) (use, error) {
	if !bind {
		return use{key: key}, nil
	}
	if m == nil {
		return use{}, invalid("body.bind_metadata", "there is no metadata to bind")
	}
	key, err := key.Bound()
	return use{key, m.AppendCanonical(nil)}, err
}

// behind returns content after prefix.
func (x *exchange) behind(prefix, content []byte) []byte {
	if prefix == nil {
		return content
	}
	x.bound = append(append(x.bound[:0], prefix...), content...)
	return x.bound
}
