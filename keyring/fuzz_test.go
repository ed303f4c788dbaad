package keyring_test

import (
	"slices"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// model is a ring in the plainest words: versions of one ID in order, the one
// that signs, and in how many hours from t0 each ends (none if absent).
type model struct {
	versions []int
	signs    int
	ends     map[int]int
}

// step applies one change to the model and says whether a ring must accept it.
func (m *model) step(op, version, hour int) bool {
	known := slices.Contains(m.versions, version)
	switch op {
	case 0:
		if known {
			return false
		}
		m.versions = append(m.versions, version)
		return true
	case 1:
		if known {
			m.signs = version
		}
		return known
	}
	if !known || version == m.signs {
		return false
	}
	if op == 2 {
		if end, ok := m.ends[version]; !ok || hour < end {
			m.ends[version] = hour
		}
		return true
	}
	m.versions = slices.DeleteFunc(m.versions, func(v int) bool { return v == version })
	delete(m.ends, version)
	return true
}

// candidates returns the versions that verify hour hours from t0.
func (m *model) candidates(hour int) []int {
	order := []int{m.signs}
	for _, v := range slices.Backward(m.versions) {
		if v != m.signs {
			order = append(order, v)
		}
	}
	order = slices.DeleteFunc(order, func(v int) bool {
		end, ok := m.ends[v]
		return ok && hour >= end
	})
	return order[:min(len(order), keyring.MaxCandidates)]
}

func apply(r *keyring.Ring, op, version, hour int) (*keyring.Ring, error) {
	switch op {
	case 0:
		return r.Add(key("k", version))
	case 1:
		return r.Promote("k", version)
	case 2:
		return r.Retire("k", version, at(hour))
	}
	return r.Remove("k", version)
}

// FuzzRing holds rings against the model through any series of changes; three
// bytes are one change.
func FuzzRing(f *testing.F) {
	f.Add([]byte{0, 2, 0, 1, 2, 0, 2, 1, 5, 3, 1, 0})
	f.Add([]byte{0, 2, 0, 0, 3, 0, 2, 3, 9, 1, 3, 0, 2, 3, 1, 3, 3, 3})
	f.Fuzz(func(t *testing.T, changes []byte) {
		r := mustRing(t, key("k", 1))
		m := model{versions: []int{1}, signs: 1, ends: map[int]int{}}
		for len(changes) >= 3 {
			op, version, hour := int(changes[0]%4), int(changes[1]%16), int(changes[2]%24)
			changes = changes[3:]
			want := m.step(op, version, hour)
			next, err := apply(r, op, version, hour)
			if (err == nil) != want {
				t.Fatalf("operation %d on version %d of %s: %v, want success %v", op, version, show(r), err, want)
			}
			if err == nil {
				r = next
			}
			for _, h := range []int{-1, hour - 1, hour, 24} {
				var got []int
				for _, k := range r.AppendCandidates(nil, "k", at(h)) {
					got = append(got, k.Version)
				}
				if want := m.candidates(h); !slices.Equal(got, want) {
					t.Fatalf("%s at hour %d: candidates %v, want %v", show(r), h, got, want)
				}
			}
			if r.Len() != len(m.versions) {
				t.Fatalf("%s has %d keys, want %d", show(r), r.Len(), len(m.versions))
			}
		}
	})
}
