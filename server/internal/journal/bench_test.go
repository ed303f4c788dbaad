package journal_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
)

// BenchmarkClaim measures claims of 1 and of 64 callers at a time, with the disk
// of the machine.
func BenchmarkClaim(b *testing.B) {
	for _, mode := range []journal.Mode{journal.Barrier, journal.Sync} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("mode=%s/callers=%d", mode, callers), func(b *testing.B) {
				j, err := journal.Open(journal.Options{
					Dir: filepath.Join(b.TempDir(), "replay"), Mode: mode, First: true, Key: key("k"),
					Guard: replay.Options{Past: past, Future: future, Capacity: 1 << 26},
				})
				if err != nil {
					b.Fatal(err)
				}
				var n atomic.Uint64
				var group sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for range callers {
					group.Go(func() {
						for {
							i := n.Add(1)
							if i > uint64(b.N) {
								return
							}
							now := time.Now()
							got, err := j.Claim(b.Context(), now, gate.Claim{ID: id(i), At: now, Until: now.Add(past)})
							if got != replay.Fresh || err != nil {
								b.Errorf("Claim: got %v, %v", got, err)
								return
							}
						}
					})
				}
				group.Wait()
				b.StopTimer()
				if err := j.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
