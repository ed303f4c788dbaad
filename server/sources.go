package server

import (
	"context"
	"errors"
	"fmt"

	elsewhere "github.com/sealwright/sealwright/server/internal/source"
	"github.com/sealwright/sealwright/server/internal/source/awssecrets"
	"github.com/sealwright/sealwright/server/internal/source/gcpsecrets"
	"github.com/sealwright/sealwright/server/internal/source/vaultkv"
)

// SourcesFile says from where secrets of keys may be read. A provider without a
// section is not asked. Prefix is how names must begin, see [elsewhere.Scope]:
// everything else that the credentials of the server can read stays unread.
// Secrets are named, as env:NAME, file:PATH or
// cred:NAME.
type SourcesFile struct {
	AWS struct {
		Prefix   Setting `yaml:"prefix"`
		Region   Setting `yaml:"region"`
		Endpoint Setting `yaml:"endpoint"`
	} `yaml:"awssecrets"`
	GCP struct {
		Prefix   Setting `yaml:"prefix"`
		Endpoint Setting `yaml:"endpoint"`
	} `yaml:"gcpsecrets"`
	KV struct {
		Prefix    Setting `yaml:"prefix"`
		Address   Setting `yaml:"address"`
		Namespace Setting `yaml:"namespace"`
		Mount     Setting `yaml:"mount"`
		Version   Setting `yaml:"version"`
		CAFile    Setting `yaml:"ca_file"`
		Token     Setting `yaml:"token"`
	} `yaml:"vaultkv"`
}

// sourcesConfig is a SourcesFile that was checked.
type sourcesConfig struct {
	scopes map[string]elsewhere.Scope // of the providers that have a section
	aws    awssecrets.Config
	gcp    gcpsecrets.Config
	kv     vaultkv.Config
}

// sources checks the settings of the sources.
func (s *settings) sources(f SourcesFile) sourcesConfig {
	c := sourcesConfig{scopes: map[string]elsewhere.Scope{}}
	may := func(name string, from Setting) string { return s.text("sources."+name, "", from, "") }
	need := func(name string, from Setting, isThere bool) string {
		v := may(name, from)
		if v == "" && from.Line == 0 && isThere {
			s.check("sources."+name, from, errors.New("is missing"))
		}
		return v
	}
	prefix := func(provider string, from Setting, isThere bool) {
		v := need(provider+".prefix", from, isThere)
		if isThere {
			c.scopes[provider] = elsewhere.Scope(v)
		}
		if v != "" {
			s.check("sources."+provider+".prefix", from, elsewhere.Scope(v).Check())
		}
	}
	service := func(name string, from Setting, v string) string {
		if v != "" {
			s.check("sources."+name, from, elsewhere.CheckURL(v))
		}
		return v
	}
	prefix(awssecrets.Name, f.AWS.Prefix, f.AWS != SourcesFile{}.AWS)
	c.aws = awssecrets.Config{
		Region:   may("awssecrets.region", f.AWS.Region),
		Endpoint: service("awssecrets.endpoint", f.AWS.Endpoint, may("awssecrets.endpoint", f.AWS.Endpoint)),
	}
	prefix(gcpsecrets.Name, f.GCP.Prefix, f.GCP != SourcesFile{}.GCP)
	c.gcp = gcpsecrets.Config{Endpoint: may("gcpsecrets.endpoint", f.GCP.Endpoint)}
	isThere := f.KV != SourcesFile{}.KV
	prefix(vaultkv.Name, f.KV.Prefix, isThere)
	c.kv = vaultkv.Config{
		Address:   service("vaultkv.address", f.KV.Address, need("vaultkv.address", f.KV.Address, isThere)),
		Namespace: may("vaultkv.namespace", f.KV.Namespace), Mount: may("vaultkv.mount", f.KV.Mount), CAFile: may("vaultkv.ca_file", f.KV.CAFile),
	}
	if isThere {
		c.kv.Version = int(s.number("sources.vaultkv.version", 0, f.KV.Version, 2, 1, 2))
	}
	if text := need("vaultkv.token", f.KV.Token, isThere); text != "" {
		var err error
		c.kv.Token, err = reference(text)
		s.check("sources.vaultkv.token", f.KV.Token, err)
	}
	return c
}

// openSources opens the sources of the configuration, and returns what closes
// them. It asks none of them for anything: a start does not need them.
func openSources(ctx context.Context, c sourcesConfig) (set elsewhere.Set, stop func() error, err error) {
	set, stop = elsewhere.Set{}, func() error { return nil }
	for name, scope := range c.scopes {
		var from elsewhere.Source
		switch name {
		case awssecrets.Name:
			from, err = awssecrets.Open(ctx, c.aws)
		case gcpsecrets.Name:
			var client *gcpsecrets.Client
			if client, err = gcpsecrets.Open(ctx, c.gcp); err == nil {
				from, stop = client, client.Close
			}
		default:
			from, err = vaultkv.Open(c.kv)
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("open source %s: %w", name, err), stop())
		}
		set[name] = elsewhere.Scoped{Source: from, Scope: scope}
	}
	return set, stop, nil
}

// sourceNotice says that sources cannot be used; it is empty while nothing is
// wrong.
func sourceNotice(troubles int) string {
	if troubles == 0 {
		return ""
	}
	return fmt.Sprintf("the sources of %d keys cannot be used, their copies go on; see the keys and the log", troubles)
}
