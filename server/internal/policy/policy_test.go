package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/policy"
)

func compile(t testing.TB, rules ...policy.Rule) *policy.Set {
	t.Helper()
	s, err := policy.Compile(rules)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return s
}

func TestDecide(t *testing.T) {
	deny := func(id, when string) policy.Rule { return policy.Rule{ID: id, When: when, Deny: true, Reason: "no"} }
	tests := []struct {
		name  string
		rules []policy.Rule
		in    policy.Input
		want  policy.Decision
	}{
		{name: "NoRules"},
		{name: "DenyAll", rules: []policy.Rule{deny("a", "")}, want: policy.Decision{Denied: true, Rule: "a", Reason: "no"}},
		{
			name: "FirstDenyIsNamed", rules: []policy.Rule{deny("a", "false"), deny("b", "true"), deny("c", "true")},
			want: policy.Decision{Denied: true, Rule: "b", Reason: "no"},
		},
		{
			name: "OtherKey", rules: []policy.Rule{{ID: "a", Match: policy.Match{Key: []string{"k1", "web*"}}, Deny: true}},
			in: policy.Input{Key: "k2"},
		},
		{
			name: "KeyPrefix", rules: []policy.Rule{{ID: "a", Match: policy.Match{Key: []string{"k1", "web*"}}, Deny: true}},
			in: policy.Input{Key: "webhook"}, want: policy.Decision{Denied: true, Rule: "a"},
		},
		{
			name: "PrefixIsNoInfix", rules: []policy.Rule{{ID: "a", Match: policy.Match{Key: []string{"web*"}}, Deny: true}},
			in: policy.Input{Key: "my-web"},
		},
		{
			name: "StarFitsTheEmptyText", rules: []policy.Rule{{ID: "a", Match: policy.Match{Purpose: []string{"*"}}, Deny: true}},
			want: policy.Decision{Denied: true, Rule: "a"},
		},
		{
			name: "AllFieldsMustFit", rules: []policy.Rule{{ID: "a", Match: policy.Match{Key: []string{"k"}, Caller: []string{"c"}}, Deny: true}},
			in: policy.Input{Key: "k", Caller: "d"},
		},
		{
			name: "OneClassIsEnough", rules: []policy.Rule{{ID: "a", Match: policy.Match{Classes: []string{"pii", "financial"}}, Use: "big"}},
			in: policy.Input{Classes: []string{"public", "financial"}}, want: policy.Decision{Key: "big"},
		},
		{
			name:  "NoClassIsNotAClass",
			rules: []policy.Rule{{ID: "a", Match: policy.Match{Classes: []string{"financial"}}, Deny: true}},
		},
		{
			name: "FirstKeyCountsHighestLevelCounts",
			rules: []policy.Rule{
				{ID: "a", Use: "x", Audit: policy.Durable}, {ID: "b", Use: "y", Audit: policy.Counted}, {ID: "c", Audit: policy.Batched},
			},
			want: policy.Decision{Key: "x", Audit: policy.Durable},
		},
		{
			name:  "MissingContext",
			rules: []policy.Rule{{ID: "a", Reason: "trace it", Needs: policy.Needs{Context: []string{"environment", "labels.ticket"}}}},
			in:    policy.Input{Environment: "prod", Labels: map[string]string{"other": "1"}},
			want:  policy.Decision{Denied: true, Rule: "a", Reason: "trace it: metadata labels.ticket is required"},
		},
		{
			name:  "ContextIsThere",
			rules: []policy.Rule{{ID: "a", Needs: policy.Needs{Context: []string{"environment", "labels.ticket", "classes"}}}},
			in:    policy.Input{Environment: "prod", Labels: map[string]string{"ticket": "1"}, Classes: []string{"pii"}},
		},
		{
			name: "EveryVariable",
			rules: []policy.Rule{deny("a", `action == "key.sign" && caller == "c" && tenant == "t" && key == "k" && purpose == "api" &&
				algorithm == "hmac-sha256" && environment == "prod" && source == "s" && target == "x" && resource == "r" && address == "192.0.2.1" &&
				"pii" in classes && labels.team == "red" && time.getHours("Europe/Berlin") == 23`)},
			in: policy.Input{
				Action: "key.sign", Caller: "c", Tenant: "t", Key: "k", Purpose: "api", Algorithm: "hmac-sha256", Environment: "prod", Source: "s",
				Target: "x", Resource: "r", Address: "192.0.2.1", Classes: []string{"pii"}, Labels: map[string]string{"team": "red"},
				Time: time.Date(2026, 11, 3, 22, 30, 0, 0, time.UTC),
			},
			want: policy.Decision{Denied: true, Rule: "a", Reason: "no"},
		},
		{
			name: "MissingLabelIsAnErrorAndDenies", rules: []policy.Rule{{ID: "a", When: `labels.team == "red"`, Audit: policy.Durable}},
			want: policy.Decision{Denied: true, Rule: "a", Reason: "the rule could not be evaluated: no such key: team"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := compile(t, tt.rules...).Decide(&tt.in)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(policy.Decision{})); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooCostlyDenies(t *testing.T) {
	s := compile(t, policy.Rule{ID: "loop", When: `classes.all(a, classes.all(b, classes.all(c, a == b || b == c || a != c)))`, Audit: policy.Durable})
	in := policy.Input{Classes: make([]string, policy.MaxClasses)}
	if d := s.Decide(&in); !d.Denied || d.Rule != "loop" || !strings.Contains(d.Reason, "cost") {
		t.Errorf("Decide: got %+v, want it denied for its cost", d)
	}
	in.Classes = append(in.Classes, "one more")
	if d := s.Decide(&in); !d.Denied || d.Rule != "" {
		t.Errorf("Decide of too many classes: got %+v, want it denied by no rule", d)
	}
	in.Classes = in.Classes[:2]
	if d := s.Decide(&in); d.Denied {
		t.Errorf("Decide with two classes: got %+v, want it allowed", d)
	}
}

// TestTooCostlyTogetherDenies has rules none of which is too costly alone.
func TestTooCostlyTogetherDenies(t *testing.T) {
	rules := make([]policy.Rule, policy.MaxRules)
	for i := range rules {
		rules[i] = policy.Rule{ID: fmt.Sprint(i), When: `classes.all(a, classes.all(b, a != "x" || b != "y"))`, Audit: policy.Durable}
	}
	in := policy.Input{}
	for i := range 30 {
		in.Classes = append(in.Classes, fmt.Sprint(i))
	}
	if d := compile(t, rules[:10]...).Decide(&in); d.Denied {
		t.Errorf("Decide by 10 rules: got %+v, want it allowed", d)
	}
	if d := compile(t, rules...).Decide(&in); !d.Denied || !strings.Contains(d.Reason, "cost too much together") {
		t.Errorf("Decide by %d rules: got %+v, want it denied for its cost", len(rules), d)
	}
}

func TestCheckKey(t *testing.T) {
	s := compile(t,
		policy.Rule{ID: "strong", Match: policy.Match{Classes: []string{"financial"}}, Needs: policy.Needs{MinStrength: 512}},
		policy.Rule{ID: "sha2", Match: policy.Match{Key: []string{"k"}}, Needs: policy.Needs{Algorithm: []string{"hmac-sha256", "hmac-sha512"}}},
	)
	tests := []struct {
		name      string
		in        policy.Input
		algorithm string
		size      int
		rule      string
	}{
		{name: "NothingAsked", algorithm: "hmac-sha3-256", size: 32},
		{name: "StrongEnough", in: policy.Input{Classes: []string{"financial"}}, algorithm: "hmac-sha512", size: 64},
		{name: "TooWeak", in: policy.Input{Classes: []string{"financial"}}, algorithm: "hmac-sha384", size: 48, rule: "strong"},
		{name: "Listed", in: policy.Input{Key: "k"}, algorithm: "hmac-sha256", size: 32},
		{name: "NotListed", in: policy.Input{Key: "k"}, algorithm: "hmac-sha3-256", size: 32, rule: "sha2"},
		{name: "BothMustHold", in: policy.Input{Key: "k", Classes: []string{"financial"}}, algorithm: "hmac-sha256", size: 32, rule: "strong"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := s.Decide(&tt.in)
			if d.Denied {
				t.Fatalf("Decide: denied by %s", d.Rule)
			}
			if d = d.CheckKey(tt.algorithm, tt.size); d.Rule != tt.rule || d.Denied != (tt.rule != "") {
				t.Errorf("CheckKey: got denied %v by %q, want by %q", d.Denied, d.Rule, tt.rule)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	no, yes := false, true
	s := compile(t,
		policy.Rule{ID: "other", Match: policy.Match{Key: []string{"x"}}, Deny: true},
		policy.Rule{ID: "false", When: `key == "x"`, Deny: true},
		policy.Rule{ID: "use", When: `key == "k"`, Use: "z"},
		policy.Rule{ID: "deny", Deny: true},
		policy.Rule{ID: "after", Deny: true},
	)
	_, got := s.Explain(&policy.Input{Key: "k"})
	want := []policy.Outcome{
		{Rule: "other"},
		{Rule: "false", Matches: true, When: &no},
		{Rule: "use", Matches: true, When: &yes, Effect: "use_key z"},
		{Rule: "deny", Matches: true, Effect: "deny"},
		{Rule: "after"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Explain (-want +got):\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name string
		rule policy.Rule
		want string
	}{
		{"NoID", policy.Rule{Deny: true}, "id: want"},
		{"IDWithSpace", policy.Rule{ID: "a b", Deny: true}, "id: want"},
		{"NoEffect", policy.Rule{ID: "a"}, "has no effect"},
		{"DenyAndKey", policy.Rule{ID: "a", Deny: true, Use: "k"}, "have no meaning"},
		{"Syntax", policy.Rule{ID: "a", Deny: true, When: "key =="}, "when: ERROR: <input>:1:7: Syntax error"},
		{"UnknownVariable", policy.Rule{ID: "a", Deny: true, When: "secret == ''"}, "undeclared reference to 'secret'"},
		{"NotBool", policy.Rule{ID: "a", Deny: true, When: "key"}, "is of type string, want bool"},
		{"Dynamic", policy.Rule{ID: "a", Deny: true, When: "dyn(true)"}, "want bool"},
		{"LongExpression", policy.Rule{ID: "a", Deny: true, When: strings.Repeat(" ", policy.MaxExpression) + "true"}, "want at most 4096"},
		{"Level", policy.Rule{ID: "a", Audit: "all"}, `audit: got "all"`},
		{"Algorithm", policy.Rule{ID: "a", Needs: policy.Needs{Algorithm: []string{"sha512"}}}, `"sha512" does not sign`},
		{"Legacy", policy.Rule{ID: "a", Needs: policy.Needs{Algorithm: []string{"hmac-sha1"}}}, "does not sign"},
		{"Strength", policy.Rule{ID: "a", Needs: policy.Needs{MinStrength: 128}}, "got 128 bits"},
		{"Context", policy.Rule{ID: "a", Needs: policy.Needs{Context: []string{"env"}}}, `got "env"`},
		{"ContextLabel", policy.Rule{ID: "a", Needs: policy.Needs{Context: []string{"labels."}}}, `got "labels."`},
		{"StarInside", policy.Rule{ID: "a", Deny: true, Match: policy.Match{Key: []string{"a*b"}}}, `match.key: got "a*b"`},
		{"EmptyName", policy.Rule{ID: "a", Deny: true, Match: policy.Match{Caller: []string{""}}}, `match.caller: got ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Compile([]policy.Rule{tt.rule})
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Public(err), tt.want) {
				t.Errorf("Compile: got %v, want invalid with %q", err, tt.want)
			}
		})
	}
	twice := []policy.Rule{{ID: "a", Deny: true}, {ID: "a", Deny: true}}
	if _, err := policy.Compile(twice); err == nil || !strings.Contains(err.Error(), `rule 2 "a": id: stands twice`) {
		t.Errorf("Compile of an ID twice: got %v", err)
	}
	if _, err := policy.Compile(make([]policy.Rule, policy.MaxRules+1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Compile of too many rules: got %v", err)
	}
}

// TestIndex holds the index equal to looking at each rule.
func TestIndex(t *testing.T) {
	names := []string{"", "a", "ab", "abc", "b"}
	var rules []policy.Rule
	for i, k := range []string{"", "a", "a*", "ab*", "abc", "*"} {
		for j, c := range []string{"", "b", "a*"} {
			for l, class := range []string{"", "a", "ab*"} {
				r := policy.Rule{ID: fmt.Sprintf("r%d%d%d", i, j, l), Audit: policy.Counted}
				for p, v := range map[*[]string]string{&r.Match.Key: k, &r.Match.Caller: c, &r.Match.Classes: class} {
					if v != "" {
						*p = []string{v}
					}
				}
				rules = append(rules, r)
			}
		}
	}
	rules = append(rules, rules...)
	for i := range rules {
		rules[i].ID = fmt.Sprintf("%s-%d", rules[i].ID, i)
	}
	s := compile(t, rules...)
	fits := func(want, got []string) bool {
		if len(want) == 0 {
			return true
		}
		for _, v := range got {
			text, star := strings.CutSuffix(want[0], "*")
			if v == want[0] || star && strings.HasPrefix(v, text) {
				return true
			}
		}
		return false
	}
	for _, key := range names {
		for _, caller := range names {
			for _, classes := range [][]string{nil, {"a"}, {"b", "abc"}} {
				_, got := s.Explain(&policy.Input{Key: key, Caller: caller, Classes: classes})
				for i, r := range rules {
					want := fits(r.Match.Key, []string{key}) && fits(r.Match.Caller, []string{caller}) && fits(r.Match.Classes, classes)
					if got[i].Matches != want {
						t.Fatalf("key %q caller %q classes %q rule %+v: got %v, want %v", key, caller, classes, r.Match, got[i].Matches, want)
					}
				}
			}
		}
	}
}

func TestFile(t *testing.T) {
	f, err := policy.Parse([]byte(`
rules:
  - id: financial-512
    match: {classes: [financial], action: [key.sign]}
    use_key: ledger-512
  - id: strong
    match: {classes: [financial]}
    require: {min_strength: 512}
  - id: no-test-keys-in-production
    when: key.startsWith("test-") && environment == "production"
    deny: true
tests:
  - name: financial data is signed with the strong key
    input: {action: key.sign, key: k, classes: [financial]}
    want: {use_key: ledger-512}
  - name: a weak key is refused
    input: {key: k, algorithm: hmac-sha256, classes: [financial]}
    strength: 256
    want: {denied: true, rule: strong}
  - name: wrong on purpose
    input: {key: test-1, environment: production}
    want: {denied: false}
`))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	want := []string{`test 3 "wrong on purpose": got denied by rule "no-test-keys-in-production", want allowed`}
	if diff := cmp.Diff(want, f.Run(compile(t, f.Rules...))); diff != "" {
		t.Errorf("Run (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"rules: [{id: a, denied: true}]": "line 1: field denied not found",
		"rules: []\n---\nrules: []":      "more than one document",
		"rules: {":                       "line 1",
	} {
		if _, err := policy.Parse([]byte(text)); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse %q: got %v, want %q", text, err, want)
		}
	}
}

// TestFileHasLines names the line of a rule that does not compile, and checks the
// key of a test by the algorithm of its input.
func TestFileHasLines(t *testing.T) {
	f, err := policy.Parse([]byte("rules:\n  - {id: a, deny: true}\n\n  - id: b\n    when: key ==\n    deny: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Compile(); fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(fault.Public(err), `line 4: rule 2 "b": when: `) {
		t.Errorf("Compile: got %v", err)
	}
	f, err = policy.Parse([]byte("rules: [{id: strong, require: {min_strength: 512}}]\ntests: [{input: {algorithm: hmac-sha256}, want: {denied: true, rule: strong}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if failed := f.Run(compile(t, f.Rules...)); len(failed) > 0 {
		t.Errorf("Run: got %q", failed)
	}
}

// BenchmarkDecide has 20 rules, of which some reach CEL.
func BenchmarkDecide(b *testing.B) {
	for _, reach := range []int{0, 5, 20} {
		b.Run(fmt.Sprintf("rules=20/cel=%d", reach), func(b *testing.B) {
			var rules []policy.Rule
			for i := range 20 {
				r := policy.Rule{
					ID: fmt.Sprintf("r%d", i), Match: policy.Match{Key: []string{"orders-*"}, Classes: []string{"financial", "pii"}},
					When: fmt.Sprintf(`environment == "production" && labels.team == "team%d" && !(target in ["a", "b"])`, i), Deny: true,
				}
				if i >= reach {
					r.Match.Key = []string{fmt.Sprintf("other-%d", i)}
				}
				rules = append(rules, r)
			}
			s := compile(b, rules...)
			in := policy.Input{
				Action: "key.sign", Caller: "c", Tenant: "t", Key: "orders-eu", Algorithm: "hmac-sha256", Environment: "production", Target: "bank",
				Classes: []string{"financial"}, Labels: map[string]string{"team": "red"}, Time: time.Now(),
			}
			b.ReportAllocs()
			for b.Loop() {
				if d := s.Decide(&in); d.Denied {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}
