package policy

import (
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Request is an operation that is about to use a key, as its caller asks for
// it. Adapters fill it in; nothing in it is decided yet.
type Request struct {
	Caller   access.Caller
	Action   access.Action
	Key      string        // name, as the caller said it
	Purpose  string        // as the caller said it; empty means that of the key
	Metadata *api.Metadata // within its bounds; nil means nothing
	Address  string        // of the peer, with or without a port; may be empty
}

// Refused returns the error of kind [fault.Denied] for what a policy refuses. It
// tells no rule: the decision has it, for the log.
func Refused() error { return fault.New(fault.Denied, "the policy does not allow this") }
