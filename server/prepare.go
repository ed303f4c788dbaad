package server

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// preparer decides, for all adapters, whether an operation may use the key that
// it names, and which key that is: first access, then the policy of the tenant.
type preparer struct {
	keys *custody.Service
}

// prepare is that of [rest.Options].
func (p *preparer) prepare(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
	key, err := p.keys.Find(r.Caller, r.Action, r.Key)
	return key, policy.Decision{}, err
}
