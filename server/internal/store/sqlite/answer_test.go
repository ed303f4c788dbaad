package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestAnswers(t *testing.T) {
	storetest.RunAnswers(t, func(t *testing.T) storetest.AnswerStore { return open(t, filepath.Join(t.TempDir(), "s.db")) })
}

// What was claimed is there for the next process.
func TestAnswersReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	now := time.Now()
	for i, owner := range []string{"first", "second"} {
		s := open(t, path)
		a := store.Answer{Tenant: "t", Caller: "c", Key: "k", Owner: owner, State: store.AnswerPending, LeaseEnd: now.Add(time.Minute), ExpiresAt: now.Add(time.Hour)}
		if got, err := s.ClaimAnswer(t.Context(), a, now, 10); got.Owner != "first" || err != nil {
			t.Errorf("ClaimAnswer of process %d: got %q, %v, want that of the first", i, got.Owner, err)
		}
		closeStore(t, s)
	}
}
