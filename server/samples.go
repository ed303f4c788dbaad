package server

import (
	"maps"
	"slices"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// samples are the secrets that stand in the examples of schemes, where anybody
// can read them: by their fingerprint the ID of the first such scheme.
type samples map[string]string

func newSamples(known schemes) samples {
	all := samples{}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		for _, e := range known[id].Examples {
			if f, ok := fingerprint(secret.FromString(e.Secret)); ok && all[f] == "" {
				all[f] = id
			}
		}
	}
	return all
}

// find returns the ID of the scheme in whose examples s stands.
func (all samples) find(s secret.Bytes) (id string, ok bool) {
	f, ok := fingerprint(s)
	if !ok {
		return "", false
	}
	id, ok = all[f]
	return id, ok
}

// fingerprint returns the same for secrets that sign the same, so the set
// holds no secret. It returns false for an empty one.
func fingerprint(s secret.Bytes) (string, bool) {
	k, err := mac.New(mac.SHA256, s)
	if err != nil {
		return "", false
	}
	sum, err := k.Sum(nil, []byte("sealwright published sample"))
	return string(sum), err == nil
}
