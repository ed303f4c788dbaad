package custody_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// Run does what is due within a second, tells what failed, tries again, and
// stores the uses at its end.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var failed []error
		h.with(t, func(o *custody.Options) { o.Now = time.Now })
		k := h.create(t, "a")
		if _, _, err := k.Sign(nil, []byte("m")); err != nil {
			t.Fatalf("Sign: %v", err)
		}
		if _, err := h.SetSchedule(t.Context(), admin, "a", 0, &custody.Schedule{Every: time.Hour}); err != nil {
			t.Fatalf("SetSchedule: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx, func(err error) { failed = append(failed, err) }) }()
		time.Sleep(time.Hour - time.Minute)
		synctest.Wait()
		h.wantStates(t, "before the time", "active")
		h.store.Fail(memory.Fault{Err: errLost})
		time.Sleep(time.Minute + 3*time.Second)
		synctest.Wait()
		h.wantStates(t, "after the time", "retired active")
		if len(failed) != 1 {
			t.Errorf("was told %v, want one failure", failed)
		}
		k, _ = h.Get(tenant, "a")
		if _, _, err := k.Sign(nil, []byte("m")); err != nil {
			t.Fatalf("Sign: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if uses, err := h.store.Uses(t.Context(), tenant, "a"); err != nil || len(uses) != 2 || uses[0].Count != 1 || uses[1].Count != 1 {
			t.Errorf("uses: got %v, %v", uses, err)
		}
	})
}
