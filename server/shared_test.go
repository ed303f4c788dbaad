package server_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// All nodes get the same secret, also if they make it at once, and if a commit
// breaks in either way.
func TestSharedSecret(t *testing.T) {
	st := memory.New()
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) (secret.Bytes, error) {
		keys, err := custody.Open(t.Context(), custody.Options{Store: st, Wrapper: root})
		if err != nil {
			t.Fatal(err)
		}
		return server.SharedSecret(t.Context(), st, keys, name)
	}
	var group sync.WaitGroup
	got := make([]secret.Bytes, 8)
	for i := range got {
		group.Go(func() {
			var err error
			if got[i], err = get("a"); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	group.Wait()
	for i := range got {
		if got[i].Len() != 32 || string(got[i].Expose()) != string(got[0].Expose()) {
			t.Errorf("node %d has another secret than node 0, or none", i)
		}
	}
	lost := errors.New("lost")
	for name, broken := range map[string]memory.Fault{"not stored": {Err: lost}, "answer lost": {Err: lost, Apply: true}} {
		st.Fail(broken)
		if _, err := get(name); !errors.Is(err, lost) {
			t.Errorf("%s: got %v", name, err)
		}
		s, err := get(name)
		if err != nil || s.Len() != 32 || string(s.Expose()) == string(got[0].Expose()) {
			t.Errorf("%s: then got %d bytes, %v", name, s.Len(), err)
		}
	}
	r, err := st.Load(t.Context(), "", "shared-secret", "a")
	if err != nil {
		t.Fatal(err)
	}
	r.Name, r.ID, r.Version = "moved", "moved", 0
	if _, err := st.Commit(t.Context(), store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{At: time.Now(), Caller: "test", Action: "test"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := get("moved"); fault.KindOf(err) != fault.Internal {
		t.Errorf("a secret in the place of another one: got %v", err)
	}
}
