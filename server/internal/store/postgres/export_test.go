package postgres

// Settle is what a write does whose COMMIT ended with cause.
func (s *Store) Settle(token, id string, cause error) error {
	return s.settle("commit", token, id, cause)
}
