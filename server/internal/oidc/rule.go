package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is whose tokens an issuer makes. It says which claims a rule must name,
// since names of repositories, projects and accounts can be given to somebody
// else, and numbers cannot.
type Kind string

// The kinds of issuers.
const (
	Generic    Kind = "generic"
	GitHub     Kind = "github"     // GitHub Actions
	GitLab     Kind = "gitlab"     // CI/CD jobs
	Kubernetes Kind = "kubernetes" // service accounts
)

// need is a claim that every rule of a kind names.
type need struct {
	claim string
	form  func(value string) bool // nil for any, also a prefix
	want  string
}

// needs returns the claims that a rule of k must name.
func (k Kind) needs() []need {
	number := func(claim string) need {
		return need{claim, isNumber, "a number: names can be registered again by others"}
	}
	exact := func(claim, want string) need { return need{claim, isExact, want} }
	switch k {
	case GitHub:
		return []need{number("repository_id"), number("repository_owner_id"), {claim: "ref"}}
	case GitLab:
		return []need{number("project_id"), number("namespace_id"), {claim: "ref"}}
	case Kubernetes:
		return []need{
			exact("kubernetes.io/namespace", "one namespace"),
			exact("kubernetes.io/serviceaccount/uid", "the UID of one account: a name can be made again by others"),
		}
	}
	return nil
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 20 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func isExact(s string) bool { return s != "" && !strings.Contains(s, "*") }

// Bounds of rules.
const (
	MaxRules = 1000 // of one issuer
	maxMatch = 20   // claims of one rule
	maxValue = 1024 // bytes
)

// Rule says who comes with a token.
type Rule struct {
	// Match has a value for each claim that must be there. An asterisk at the end
	// of a value stands for any further text. A claim inside another is named
	// with a slash, such as kubernetes.io/namespace. Of a claim with several
	// values one must match.
	Match map[string]string

	Tenant string // of the caller; empty for an operator
	Caller string // ID
}

// check returns what is wrong with a rule for an issuer of kind k.
func (r Rule) check(k Kind) error {
	if r.Caller == "" {
		return errors.New("caller is missing")
	}
	if len(r.Match) == 0 || len(r.Match) > maxMatch {
		return fmt.Errorf("match: got %d claims, want 1 to %d", len(r.Match), maxMatch)
	}
	for _, n := range k.needs() {
		v, ok := r.Match[n.claim]
		if !ok {
			return fmt.Errorf("match: %s is missing", n.claim)
		}
		if n.form != nil && !n.form(v) {
			return fmt.Errorf("match: %s: got %q, want %s", n.claim, v, n.want)
		}
	}
	told := false
	for _, claim := range slices.Sorted(maps.Keys(r.Match)) {
		v := r.Match[claim]
		if i := strings.IndexByte(v, '*'); v == "" || len(v) > maxValue || i >= 0 && i != len(v)-1 {
			return fmt.Errorf("match: %s: got %q, want a text with an asterisk at its end at the most", claim, v)
		}
		told = told || isExact(v)
	}
	if !told {
		return errors.New("match: no claim has one value only, want at least one")
	}
	return nil
}

// find returns the first rule that a token matches, with the claims it was
// matched by and their values.
func find(rules []Rule, claims map[string]any) (Rule, map[string]string, bool) {
	for _, r := range rules {
		if bound, ok := r.match(claims); ok {
			return r, bound, true
		}
	}
	return Rule{}, nil, false
}

func (r Rule) match(claims map[string]any) (map[string]string, bool) {
	bound := make(map[string]string, len(r.Match))
	for claim, want := range r.Match {
		i := slices.IndexFunc(textsOf(lookUp(claims, claim)), func(v string) bool { return matches(v, want) })
		if i < 0 {
			return nil, false
		}
		bound[claim] = textsOf(lookUp(claims, claim))[i]
	}
	return bound, true
}

// matches compares with what a rule demands. An empty value matches nothing.
func matches(v, want string) bool {
	if v == "" || len(v) > maxValue {
		return false
	}
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(v, prefix)
	}
	return v == want
}

// lookUp returns the claim with this name, or the one at this path, nil for
// none. Names may have slashes themselves.
func lookUp(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	for i, c := range name {
		if c != '/' {
			continue
		}
		if inner, ok := claims[name[:i]].(map[string]any); ok {
			if v := lookUp(inner, name[i+1:]); v != nil {
				return v
			}
		}
	}
	return nil
}

// textsOf returns the values of a claim: a text, a number, a boolean, or a list
// of these.
func textsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool:
		return []string{fmt.Sprint(v)}
	case []any:
		var all []string
		for _, e := range v {
			if _, isList := e.([]any); !isList {
				all = append(all, textsOf(e)...)
			}
		}
		return all
	}
	return nil
}

// parseClaims reads the payload of a token. Numbers stay as they were written.
func parseClaims(payload []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var claims map[string]any
	if err := d.Decode(&claims); err != nil {
		return nil, errors.New("the payload is no JSON object")
	}
	return claims, nil
}
