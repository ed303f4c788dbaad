package tenant

// Hashes returns a function that says how many tokens were hashed by s since it
// was called.
func Hashes(s *Service) func() int {
	n := 0
	s.tokens.count = func() { n++ }
	return func() int { return n }
}
