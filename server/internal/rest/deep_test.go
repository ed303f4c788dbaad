package rest_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/rest"
)

// TestA24DeepJSON: what a deep body costs grows with its length, not with its
// depth times its length.
func TestA24DeepJSON(t *testing.T) {
	name := strings.Repeat("n", 64)
	for kind, level := range map[string][2]string{"objects": {`{"` + name + `":`, "}"}, "arrays": {"[", "]"}} {
		const depth = 5000
		body := []byte(strings.Repeat(level[0], depth) + "1" + strings.Repeat(level[1], depth))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := rest.CheckJSON(body); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		runtime.ReadMemStats(&after)
		if got, want := after.TotalAlloc-before.TotalAlloc, uint64(depth*2048+16*len(body)); got > want {
			t.Errorf("%s: %d bytes were allocated, want at most %d", kind, got, want)
		}
	}
}
