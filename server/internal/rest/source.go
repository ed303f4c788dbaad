package rest

import (
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/source"
)

// readSource returns nil if the secret of a key that is to be made lives
// nowhere else.
func readSource(in *api.CreateKey) (*custody.Source, error) {
	s := in.Source
	if s == nil {
		return nil, nil
	}
	if in.Material != nil || in.Wrapped != nil || in.ImportID != "" {
		return nil, problemOf(invalid("body.source", "want either a source or a secret to import"))
	}
	from := &custody.Source{Ref: source.Ref{Provider: s.Provider, Name: s.Name, Field: s.Field, Encoding: s.Encoding}}
	if s.Every == "" {
		return from, nil
	}
	var err error
	from.Every, err = readDuration("body.source.every", s.Every)
	if err == nil && from.Every == 0 {
		err = problemOf(invalid("body.source.every", "got 0, want 1m to 30d"))
	}
	return from, err
}

// sourceOf returns nil for none.
func sourceOf(s *custody.Source) *api.KeySource {
	if s == nil {
		return nil
	}
	at, trouble := s.Checked()
	return &api.KeySource{
		Provider: s.Provider, Name: s.Name, Field: s.Field, Encoding: s.Encoding, Every: api.FormatDuration(s.Every),
		Version: s.Version, ChangedAt: s.ChangedAt.UTC(), CheckedAt: instantOf(at), Error: trouble,
	}
}

// copyOf returns the secret of the version that signs, which came from a source.
func copyOf(k *custody.Key) secret.Bytes {
	v, err := k.Ring.Version(k.Signing)
	if err != nil {
		return secret.Bytes{}
	}
	return v.Secret
}

// newest returns the number of the newest version of a key, and of the one that
// signs.
func newest(k *custody.Key) [2]int {
	return [2]int{k.Versions[len(k.Versions)-1].Version, k.Signing}
}
