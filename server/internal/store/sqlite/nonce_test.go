package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestNonces(t *testing.T) { storetest.RunNonces(t, open(t, filepath.Join(t.TempDir(), "s.db"))) }

// What was granted is not granted again by the next process.
func TestNoncesReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	for _, want := range []bool{true, false} {
		s := open(t, path)
		if ok, err := s.Raise(t.Context(), "t", "k", "p", 7); ok != want || err != nil {
			t.Errorf("Raise: got %v, %v, want %v", ok, err, want)
		}
		closeStore(t, s)
	}
}
