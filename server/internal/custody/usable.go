package custody

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
