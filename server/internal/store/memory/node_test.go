package memory_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestNodes(t *testing.T) {
	storetest.RunNodes(t, func(*testing.T) (storetest.NodeStore, func(time.Duration)) {
		s, now := memory.New(), time.Date(2026, 11, 3, 5, 0, 0, 123456789, time.Local)
		s.Now = func() time.Time { return now }
		return s, func(d time.Duration) { now = now.Add(d) }
	})
}
