package overload_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/overload"
)

// work is a handler that takes a while, and knows how much of it there is.
type work struct {
	takes     time.Duration
	now, most atomic.Int64
	mu        sync.Mutex
	done      []string // in the order in which it was begun
}

func (h *work) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := h.now.Add(1)
	defer h.now.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	h.mu.Lock()
	h.done = append(h.done, r.URL.Path)
	h.mu.Unlock()
	time.Sleep(h.takes)
	fmt.Fprint(w, "ok")
}

func ask(ctx context.Context, h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", path, nil))
	return w
}

// A server that can do 1,000 operations a second, since 10 at a time take 10 ms
// each, is offered ten times that: it does 1,000 a second, and
// holds no more than what is worked on and waits.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const concurrency, queue, seconds = 10, 20, 10
		h := &work{takes: 10 * time.Millisecond}
		s := overload.NewShedder(h, concurrency, queue)
		var good, shed, other, inside, most atomic.Int64
		var slowest atomic.Int64
		var group sync.WaitGroup
		start := time.Now()
		for range seconds * 1000 {
			for range 10 {
				group.Go(func() {
					n := inside.Add(1)
					defer inside.Add(-1)
					began := time.Now()
					switch w := ask(t.Context(), s, "/v1/keys/a/sign"); w.Code {
					case http.StatusOK:
						good.Add(1)
						for d := int64(time.Since(began)); d > slowest.Load(); {
							slowest.Store(d)
						}
					case http.StatusServiceUnavailable:
						shed.Add(1)
						if time.Since(began) > 0 {
							t.Error("what is shed has waited")
						}
					default:
						other.Add(1)
					}
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
				})
			}
			time.Sleep(time.Millisecond)
		}
		took := time.Since(start)
		group.Wait()
		t.Logf("%v: %d good, %d shed, slowest %v, %d inside", took, good.Load(), shed.Load(), time.Duration(slowest.Load()), most.Load())
		if peak := int64(seconds * 1000); good.Load() < peak*99/100 || good.Load()+shed.Load() != 10*peak || other.Load() != 0 {
			t.Errorf("got %d good, %d shed and %d others, want about %d good, and none but shed", good.Load(), shed.Load(), other.Load(), peak)
		}
		if n := h.most.Load(); n > concurrency {
			t.Errorf("got %d at a time, want at most %d", n, concurrency)
		}
		if n := most.Load(); n > concurrency+queue+10 { // and the 10 that arrive
			t.Errorf("got %d inside, want at most %d", n, concurrency+queue+10)
		}
		if d := time.Duration(slowest.Load()); d > 40*time.Millisecond {
			t.Errorf("the slowest took %v, want at most the queue and itself, 30ms", d)
		}
	})
}

// The newest is refused, and who waits for the longest is next.
func TestShedNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &work{takes: 100 * time.Millisecond}
		s := overload.NewShedder(h, 1, 3)
		codes := make([]int, 6)
		var group sync.WaitGroup
		for i := range codes {
			group.Go(func() { codes[i] = ask(t.Context(), s, fmt.Sprint("/", i)).Code })
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		if got, want := fmt.Sprint(codes, h.done), "[200 200 200 200 503 503] [/0 /1 /2 /3]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestShed(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration // of the one that is worked on
		path  string
		give  time.Duration // after which the client goes; 0 for never
		queue int
		want  int
		after time.Duration
	}{
		{"WaitsForASecond", time.Hour, "/v1/keys", 0, 1, 503, time.Second},
		{"IsNext", 999 * time.Millisecond, "/v1/keys", 0, 1, 200, 1998 * time.Millisecond},
		{"ClientGoes", time.Hour, "/v1/keys", 10 * time.Millisecond, 1, 503, 10 * time.Millisecond},
		{"NoQueue", time.Hour, "/v1/keys", 0, 0, 503, 0},
		{"Health", time.Second, "/healthz", 0, 0, 200, time.Second},
		{"Ready", time.Second, "/readyz", 0, 0, 200, time.Second},
		{"Metrics", time.Second, "/metrics", 0, 0, 200, time.Second},
		{"NotQuiteHealth", time.Second, "/healthz/", 0, 0, 503, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &work{takes: tt.takes}
				s := overload.NewShedder(h, 1, tt.queue)
				go ask(t.Context(), s, "/v1/first")
				synctest.Wait()
				ctx := t.Context()
				if tt.give > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.give)
					defer cancel()
				}
				start := time.Now()
				w := ask(ctx, s, tt.path)
				if took := time.Since(start); w.Code != tt.want || took != tt.after {
					t.Errorf("got %d after %v, want %d after %v", w.Code, took, tt.want, tt.after)
				}
				if w.Code == 503 {
					var p api.Problem
					if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 503 || p.Code != "unavailable" || w.Header().Get("Retry-After") != "1" || w.Header().Get("Content-Type") != "application/problem+json" {
						t.Errorf("got %v, %v, %+v", err, w.Header(), p)
					}
				}
				time.Sleep(2 * time.Hour) // all end
				if w := ask(t.Context(), s, "/v1/last"); w.Code != 200 {
					t.Errorf("afterwards: got %d", w.Code)
				}
			})
		})
	}
}

// A handler that panics gives its place back.
func TestShedPanic(t *testing.T) {
	first := true
	s := overload.NewShedder(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if first {
			first = false
			panic("defect")
		}
	}), 1, 0)
	func() {
		defer func() { _ = recover() }()
		ask(t.Context(), s, "/")
	}()
	if w := ask(t.Context(), s, "/"); w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
}
