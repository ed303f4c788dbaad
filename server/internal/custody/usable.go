package custody

import "github.com/sealwright/sealwright/server/internal/access"

// All returns a check for [Options.Usable] that has the error of the first of
// checks that has one. A nil check is left out; without any the check is nil.
func All(checks ...func() error) func() error {
	var some []func() error
	for _, check := range checks {
		if check != nil {
			some = append(some, check)
		}
	}
	switch len(some) {
	case 0:
		return nil
	case 1:
		return some[0]
	}
	return func() error {
		for _, check := range some {
			if err := check(); err != nil {
				return err
			}
		}
		return nil
	}
}

// Usable returns why no key can be used now, see [Options.Usable], or nil.
func (s *Service) Usable() error {
	if s.usable == nil {
		return nil
	}
	return s.usable()
}

// spares reports whether an action on a key leaves its secret alone, so that it
// is allowed while keys must not be used: above all revoking.
func spares(action access.Action) bool {
	switch action {
	case access.KeyRead, access.KeyRotate, access.KeyPromote, access.KeyRevoke, access.KeyRetire, access.KeyRestore,
		access.KeyDelete, access.KeyDestroy, access.LeaseRead, access.LeaseRevoke:
		return true
	}
	return false
}
