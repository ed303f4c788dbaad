package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// TestOpenArrival breaks what the store says about the journal of messages
// without a signed time, both ways: nothing is taken for lost that is not, and
// nothing that is lost for new.
func TestOpenArrival(t *testing.T) {
	lost := errors.New("lost")
	for name, broken := range map[string][]memory.Fault{
		"Works": nil, "NotStored": {{Err: lost}}, "StoredButLost": {{Err: lost, Apply: true}},
	} {
		t.Run(name, func(t *testing.T) {
			st := memory.New()
			root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := custody.Open(t.Context(), custody.Options{Store: st, Wrapper: root})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := server.SharedSecret(t.Context(), st, keys, "replay"); err != nil { // with the data key of the tenant
				t.Fatal(err)
			}
			key, err := replay.NewKey(secret.Random(replay.KeySize))
			if err != nil {
				t.Fatal(err)
			}
			o := journal.Options{Dir: filepath.Join(t.TempDir(), "arrival"), Mode: journal.Sync, Key: key, Guard: replay.Options{Keep: time.Hour}}
			st.Fail(broken...)
			j, err := server.OpenArrival(t.Context(), o, st, keys)
			if len(broken) > 0 {
				if !errors.Is(err, lost) {
					t.Fatalf("got %v", err)
				}
				if j, err = server.OpenArrival(t.Context(), o, st, keys); err != nil {
					t.Fatalf("again: %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			m := gate.Claim{ID: key.ID("a"), Until: now.Add(time.Minute)}
			if got, err := j.Claim(t.Context(), now, m); got != replay.Fresh || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if j, err = server.OpenArrival(t.Context(), o, st, keys); err != nil {
				t.Fatal(err)
			}
			if got, err := j.Claim(t.Context(), now, m); got != replay.Replayed || err != nil {
				t.Errorf("opened again: got %v, %v", got, err)
			}
			if err := errors.Join(j.Close(), os.RemoveAll(o.Dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := server.OpenArrival(t.Context(), o, st, keys); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("the folder is gone: got %v", err)
			}
			if _, err := os.Stat(filepath.Join(o.Dir, "state")); err == nil {
				t.Error("the folder looks whole after a refusal")
			}
		})
	}
}
