package custody

import (
	"context"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Revealed is the secret of one version.
type Revealed struct {
	Version  int
	Material secret.Bytes
}

// Reveal returns the secrets of all versions of an exportable key, ascending.
// An entry about it is stored first: if that fails nothing is revealed. The
// error is of kind [fault.NotFound], or [fault.Denied] for a key that is not
// exportable, which leaves an entry too.
func (s *Service) Reveal(ctx context.Context, caller access.Caller, name string) ([]Revealed, error) {
	if !ValidName(name) {
		return nil, noKey(name)
	}
	if err := s.allow(ctx, caller, access.KeyReveal, name); err != nil {
		return nil, err
	}
	part := s.keys.part(name)
	part.change.Lock()
	defer part.change.Unlock()
	r, err := s.reload(ctx, caller.Tenant, name)
	if err != nil {
		return nil, wrap(err, "%s %q", access.KeyReveal, name)
	}
	k, err := s.Get(caller.Tenant, name)
	if err != nil {
		return nil, err
	}
	if err := k.refuseNative("be revealed"); err != nil {
		return nil, s.refuse(ctx, caller, access.KeyReveal, name, err)
	}
	if !k.Exportable {
		return nil, s.refuse(ctx, caller, access.KeyReveal, name, fault.New(fault.Denied, "key %q is not exportable", name))
	}
	e := s.entry(caller, string(access.KeyReveal), r, detail{"versions": len(k.Versions)})
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return nil, wrap(err, "%s %q", access.KeyReveal, name)
	}
	revealed := make([]Revealed, 0, k.Ring.Len())
	for _, v := range k.Ring.Keys() {
		revealed = append(revealed, Revealed{Version: v.Version, Material: v.Secret})
	}
	return revealed, nil
}
