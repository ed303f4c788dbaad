package replay_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
)

// mix spreads n over 64 bits, as the IDs of nonces are.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xBF58476D1CE4E5B9
	n = (n ^ n>>27) * 0x94D049BB133111EB
	return n ^ n>>31
}

// BenchmarkClaim measures one claim after another, by one and by several
// goroutines, with a million claims in the guard.
func BenchmarkClaim(b *testing.B) {
	for _, workers := range []int{1, 2, 8} {
		b.Run(fmt.Sprintf("goroutines=%d", workers), func(b *testing.B) {
			g := guard(b, replay.Options{Past: 300 * time.Second, Future: 5 * time.Second, Capacity: 1 << 26})
			n := uint64(0)
			for ; n < 1_000_000; n++ {
				g.Claim(t0, t0.Add(time.Duration(n%300)*-time.Second), mix(n), 1+n%100)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for w := range workers {
				group.Go(func() {
					for i := range uint64(b.N / workers) {
						k := n + i*uint64(workers) + uint64(w)
						g.Claim(t0, t0.Add(time.Duration(k%300)*-time.Second), mix(k), 1+k%100)
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkLive lets a guard live for two windows at a rate that keeps 10
// million claims in it, and reports the times of single claims, of those that
// are the first after a bucket is gone, and the memory. Half as many replays are among the
// claims. One operation is all of it.
func BenchmarkLive(b *testing.B) {
	const live = 10_000_000
	past, future := 300*time.Second, 5*time.Second
	for b.Loop() {
		before := memory()
		g := guard(b, replay.Options{Past: past, Future: future, Capacity: 2 * live})
		took := make([]uint32, 0, 3*live) // ns
		drops := make([]uint32, 0, 64)
		width, bucket := past/16, int64(0)
		for i := range uint64(2 * live) {
			now := t0.Add(time.Duration(i) * (past / live))
			start := time.Now()
			outcome := g.Claim(now, now, mix(i), 1+i%1000)
			ns := uint32(time.Since(start))
			took = append(took, ns)
			if outcome != replay.Fresh {
				b.Fatalf("claim %d: got %v", i, outcome)
			}
			if n := now.Unix() * 1000 / width.Milliseconds(); n != bucket {
				bucket, drops = n, append(drops, ns)
			}
			if i%2 == 0 {
				old := i - min(i, i%live)
				start = time.Now()
				outcome = g.Claim(now, t0.Add(time.Duration(old)*(past/live)), mix(old), 1+old%1000)
				took = append(took, uint32(time.Since(start)))
				if outcome == replay.Fresh && old != i {
					b.Fatalf("replay %d: got %v", old, outcome)
				}
			}
		}
		slices.Sort(took)
		at := func(part float64) float64 { return float64(took[int(part*float64(len(took)-1))]) }
		b.ReportMetric(at(0.5), "p50-ns")
		b.ReportMetric(at(0.99), "p99-ns")
		b.ReportMetric(at(0.999), "p999-ns")
		b.ReportMetric(at(1), "max-ns")
		slices.Sort(drops)
		b.ReportMetric(float64(drops[len(drops)/2]), "drop-p50-ns")
		b.ReportMetric(float64(drops[len(drops)-1]), "drop-max-ns")
		b.ReportMetric(float64(g.Len()), "claims")
		own := uint64(4*cap(took) + 4*cap(drops))
		heap := memory() - before - own
		b.ReportMetric(float64(heap)/float64(g.Len()), "B/claim")
		b.ReportMetric(float64(resident()-own)/(1<<20), "RSS-MiB")
		runtime.KeepAlive(g)
		runtime.KeepAlive(took)
	}
}

// memory returns the bytes of the heap that are in use.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident returns the memory of the process in bytes, or 0 where it cannot be
// told.
func resident() uint64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
