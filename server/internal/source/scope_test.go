package source_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// What a tenant may read is decided by how names begin, with the slash behind
// the name of the tenant.
func TestScopeAllows(t *testing.T) {
	for _, tt := range []struct {
		scope        source.Scope
		tenant, name string
		want         bool
	}{
		{source.All, "default", "anything", true},
		{source.All, "acme", "anything", false},
		{"a/", "default", "a/b", true},
		{"a/", "default", "a", false},
		{"a/", "default", "ab/c", false},
		{"a/", "acme", "a/b", false},
		{"a/{tenant}/", "acme", "a/acme/b", true},
		{"a/{tenant}/", "default", "a/default/b", true},
		{"a/{tenant}/", "acme", "a/acme-2/b", false},
		{"a/{tenant}/", "acme-2", "a/acme/b", false},
		{"a/{tenant}/", "acme", "a/default/b", false},
		{"", "default", "a", false},
	} {
		if got := tt.scope.Allows(tt.tenant, tt.name); got != tt.want {
			t.Errorf("%q allows %s to read %q: got %t, want %t", tt.scope, tt.tenant, tt.name, got, tt.want)
		}
	}
}

func TestScopeCheck(t *testing.T) {
	for scope, want := range map[source.Scope]string{
		source.All: "", "a": "", "a/": "", "a/b-": "", "{tenant}/": "", "projects/acme-{tenant}/secrets/": "",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:sealwright/{tenant}/": "",
		"": "no name begins with", "../a": "no name begins with", "a b": "no name begins with", "/a": "no name begins with",
		"{other}/": "no name begins with", "a*": "no name begins with",
		"a/{tenant}": "with a slash behind it", "a/{tenant}-b": "with a slash behind it", "{tenant}/{tenant}/": "once",
	} {
		err := scope.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Check of %q: got %v, want %q", scope, err, want)
		}
	}
}

// there is a source that has what it is asked for.
type there struct{ asked []string }

func (s *there) Fetch(_ context.Context, name string) (source.Payload, error) {
	s.asked = append(s.asked, name)
	return source.Payload{Bytes: secret.FromString(name)}, nil
}

// A set asks the provider that is named, and nobody for what may not be read.
func TestSet(t *testing.T) {
	one, two := &there{}, &there{}
	set := source.Set{"one": {one, "a/"}, "two": {two, "b/{tenant}/"}}
	if p, err := set.Read(t.Context(), "acme", source.Ref{Provider: "two", Name: "b/acme/c"}); err != nil || string(p.Bytes.Expose()) != "b/acme/c" {
		t.Errorf("Read: got %v", err)
	}
	for _, tt := range []struct {
		set         source.Set
		tenant      string
		ref         source.Ref
		want        fault.Kind
		wantMessage string
	}{
		{set, "default", source.Ref{Provider: "three", Name: "a/b"}, fault.Invalid, "want one of one, two"},
		{set, "default", source.Ref{Provider: "", Name: "a/b"}, fault.Invalid, "want one of one, two"},
		{nil, "default", source.Ref{Provider: "one", Name: "a/b"}, fault.Invalid, "no source is configured"},
		{set, "default", source.Ref{Provider: "one", Name: "b/default/c"}, fault.Denied, "sources.one.prefix"},
		{set, "acme", source.Ref{Provider: "one", Name: "a/b"}, fault.Denied, "sources.one.prefix"},
		{set, "acme", source.Ref{Provider: "two", Name: "b/other/c"}, fault.Denied, "sources.two.prefix"},
	} {
		_, err := tt.set.Read(t.Context(), tt.tenant, tt.ref)
		if fault.KindOf(err) != tt.want || !strings.Contains(fault.Public(err), tt.wantMessage) {
			t.Errorf("Read %+v by %s: got %v, want kind %v about %q", tt.ref, tt.tenant, err, tt.want, tt.wantMessage)
		}
	}
	if len(one.asked) != 0 || len(two.asked) != 1 {
		t.Errorf("asked: got %q and %q, want only b/acme/c", one.asked, two.asked)
	}
}
