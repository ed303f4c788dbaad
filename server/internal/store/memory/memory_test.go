package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store { return memory.New() })
}

func TestFault(t *testing.T) {
	lost := errors.New("lost")
	c := store.Change{
		Puts:    []store.Record{{Kind: "k", ID: "1", Name: "a", Format: 1, Doc: []byte("{}")}},
		Entries: []store.Entry{{At: time.Unix(1, 0), Caller: "c", Action: "a"}},
	}
	for _, tt := range []struct {
		name   string
		fault  memory.Fault
		stored bool
	}{
		{"NotStored", memory.Fault{Err: lost, Apply: false}, false},
		{"StoredButLost", memory.Fault{Err: lost, Apply: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := memory.New()
			s.Fail(tt.fault)
			if _, err := s.Commit(t.Context(), store.Change{}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("Commit of a bad change: got %v, want kind invalid", err)
			}
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, lost) {
				t.Fatalf("Commit: got %v, want %v", err, lost)
			}
			_, err := s.Load(t.Context(), "", "k", "a")
			if (err == nil) != tt.stored {
				t.Errorf("Load: got %v, want stored %v", err, tt.stored)
			}
			log, err := s.Tail(t.Context(), 0, 10)
			if err != nil || (len(log) == 1) != tt.stored {
				t.Errorf("Tail: got %v, %v, want stored %v", log, err, tt.stored)
			}
			if !tt.stored {
				if seq, err := s.Commit(t.Context(), c); seq != 1 || err != nil {
					t.Errorf("Commit again: got %d, %v", seq, err)
				}
			}
		})
	}
}
