package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkRotation measures how long requests take while the key they use is
// rotated once a second, and while it is not, in turns of 3 seconds of one run:
// sign and verify of 1 KiB on 16 connections each, on a server with SQLite in
// its own process. One iteration is a turn of each kind, on a key of its own.
func BenchmarkRotation(b *testing.B) {
	data := b.TempDir()
	ours := spawn(b, data)
	b.Cleanup(func() {
		_ = ours.Process.Kill()
		_ = ours.Wait()
	})
	raw, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		b.Fatal(err)
	}
	token := strings.TrimSpace(string(raw))
	message := strings.Repeat("0123456789abcdef", 64)
	var calm, rotating []time.Duration
	for turn := range b.N {
		name := fmt.Sprintf("k%d", turn)
		newLoad(b, ours.url, "/v1/keys", "application/json", token, `{"name":"`+name+`"}`).create(b)
		sign := newLoad(b, ours.url, "/v1/keys/"+name+"/sign", "application/octet-stream", token, message)
		verify := newLoad(b, ours.url, "/v1/keys/"+name+"/verify", "application/json", token, `{"text":"`+message+`","tag":"`+strings.Repeat("0", 64)+`"}`)
		rotate := newLoad(b, ours.url, "/v1/keys/"+name+"/rotate", "application/json", token, `{}`)
		calm = append(calm, turnOf(b, nil, sign, verify)...)
		rotating = append(rotating, turnOf(b, rotate, sign, verify)...)
	}
	for _, side := range []struct {
		name string
		took []time.Duration
	}{{"calm", calm}, {"rotating", rotating}} {
		slices.Sort(side.took)
		for _, q := range []float64{50, 99, 99.9} {
			b.ReportMetric(float64(quantile(side.took, q/100).Microseconds()), fmt.Sprintf("%s-p%v-µs", side.name, q))
		}
	}
	b.ReportMetric(float64(quantile(rotating, 0.99))/float64(quantile(calm, 0.99)), "p99-ratio")
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

// turnOf sends requests for 3 seconds, and rotates once a second if rotate is
// not nil. It returns how long each request took.
func turnOf(b *testing.B, rotate *load, loads ...*load) []time.Duration {
	b.Helper()
	end := time.Now().Add(3 * time.Second)
	var mu sync.Mutex
	var all []time.Duration
	var group sync.WaitGroup
	for _, l := range loads {
		for i := range connections / 2 {
			group.Go(func() {
				var took []time.Duration
				for time.Now().Before(end) {
					start := time.Now()
					if err := l.once(i); err != nil {
						b.Error(err)
						return
					}
					took = append(took, time.Since(start))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, took...)
			})
		}
	}
	for next := time.Now(); rotate != nil && next.Before(end); next = next.Add(time.Second) {
		time.Sleep(time.Until(next))
		if err := rotate.once(0); err != nil {
			b.Error(err)
		}
	}
	group.Wait()
	return all
}
