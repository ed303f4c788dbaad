package rest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/compat"
	"github.com/sealwright/sealwright/server/internal/rest"
)

var update = flag.Bool("update", false, "write the description of the API to docs/api, when a version is released")

const released = "../../../docs/api/openapi-v1.json"

// Programs that were written for the last released description work with this
// one. Within /v1 changes only add.
func TestCompatible(t *testing.T) {
	f := start(t, func(o *rest.Options) { o.Version = "v1" })
	now := []byte(f.must(t, "GET", "/openapi.json", "").body)
	if *update {
		var text bytes.Buffer
		if err := json.Indent(&text, now, "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(released, append(text.Bytes(), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	breaks, err := compat.Breaks(before, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(breaks) > 0 {
		t.Errorf("the API no longer does what %s says:\n%s", released, strings.Join(breaks, "\n"))
	}
}
