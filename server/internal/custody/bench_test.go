package custody_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// BenchmarkOpen starts with many keys of three versions in SQLite. Beside the
// time it reports the memory of one version, its 32 bytes of material left out,
// and what the first signature by an idle key costs beside the next one.
func BenchmarkOpen(b *testing.B) {
	for _, keys := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			const versions = 3
			o := fillStore(b, keys, versions)
			var s *custody.Service
			before := heap()
			for b.Loop() {
				var err error
				if s, err = custody.Open(b.Context(), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/open")
			b.ReportMetric(float64(heap()-before)/float64(keys*versions)-32, "B/version")
			first, next := firstUse(b, s, keys)
			b.ReportMetric(first, "ns/first-use")
			b.ReportMetric(next, "ns/next-use")
		})
	}
}

func keyNumber(i int) string { return fmt.Sprintf("customer-%06d.webhook", i) }

// fillStore makes the keys with 64 clients at a time, which share commits.
func fillStore(b *testing.B, keys, versions int) custody.Options {
	b.Helper()
	dir := b.TempDir()
	db, err := sqlite.Open(b.Context(), filepath.Join(dir, "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	root, err := local.LoadOrCreate(filepath.Join(dir, "root.key"), nil)
	if err != nil {
		b.Fatal(err)
	}
	o := custody.Options{Store: db, Wrapper: root}
	s, err := custody.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	add := func(i int) error {
		_, err := s.Create(b.Context(), admin, custody.CreateKey{Name: keyNumber(i)})
		for range versions - 1 {
			if err == nil {
				_, err = s.Rotate(b.Context(), admin, keyNumber(i), 0, custody.Rotation{})
			}
		}
		return err
	}
	if err := add(0); err != nil { // the data key
		b.Fatal(err)
	}
	const clients = 64
	errs := [clients]error{}
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := 1 + c; i < keys && errs[c] == nil; i += clients {
				errs[c] = add(i)
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		b.Fatal(err)
	}
	return o
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// firstUse returns the medians of the first and of the second signature of
// 1,000 keys, in nanoseconds.
func firstUse(b *testing.B, s *custody.Service, keys int) (first, next float64) {
	b.Helper()
	message := make([]byte, 1<<10)
	tag := make([]byte, 0, 64)
	var took [2][]float64
	for i := 0; i < keys; i += keys / 1000 {
		for n := range took {
			start := time.Now()
			k, err := s.Get(tenant, keyNumber(i))
			if err == nil {
				_, _, err = k.Sign(tag, message)
			}
			took[n] = append(took[n], float64(time.Since(start).Nanoseconds()))
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for n := range took {
		slices.Sort(took[n])
	}
	return took[0][len(took[0])/2], took[1][len(took[1])/2]
}
