package limit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/limit"
)

func TestRuleLimit(t *testing.T) {
	tests := []struct {
		name string
		rule limit.Rule
		want limit.Limit
		err  string
	}{
		{"BurstIsTheRate", limit.Rule{Rate: 100, Per: limit.Second}, limit.Limit{Interval: 10 * time.Millisecond, Burst: 100}, ""},
		{"Burst", limit.Rule{Rate: 100, Per: limit.Second, Burst: 500}, limit.Limit{Interval: 10 * time.Millisecond, Burst: 500}, ""},
		{"RoundedUp", limit.Rule{Rate: 30_000, Per: limit.Second}, limit.Limit{Interval: 34 * time.Microsecond, Burst: 30_000}, ""},
		{"Fastest", limit.Rule{Rate: 1_000_000, Per: limit.Second}, limit.Limit{Interval: time.Microsecond, Burst: 1_000_000}, ""},
		{"Day", limit.Rule{Rate: 24, Per: limit.Day}, limit.Limit{Interval: time.Hour, Burst: 24}, ""},
		{"Month", limit.Rule{Rate: 1, Per: limit.Month}, limit.Limit{Interval: 720 * time.Hour, Burst: 1}, ""},
		{"TooFast", limit.Rule{Rate: 1_000_001, Per: limit.Second}, limit.Limit{}, "rate: got 1000001, want 1 to 1000000"},
		{"NoRate", limit.Rule{Per: limit.Second}, limit.Limit{}, "rate: got 0, want 1 to 1000000"},
		{"Negative", limit.Rule{Rate: 1, Per: limit.Second, Burst: -1}, limit.Limit{}, "burst: got -1"},
		{"BurstOfAYear", limit.Rule{Rate: 1, Per: limit.Month, Burst: 12}, limit.Limit{Interval: 720 * time.Hour, Burst: 12}, ""},
		{"BurstOfMore", limit.Rule{Rate: 1, Per: limit.Month, Burst: 13}, limit.Limit{}, "burst: got 13, want at most 12"},
		{"NoPeriod", limit.Rule{Rate: 1}, limit.Limit{}, `per: got "", want second, minute, hour, day or month`},
		{"OtherPeriod", limit.Rule{Rate: 1, Per: "1s"}, limit.Limit{}, `per: got "1s"`},
		{"Scope", limit.Rule{Rate: 1, Per: limit.Second, Scope: "planet"}, limit.Limit{}, `scope: got "planet"`},
		{"AddressOfATenant", limit.Rule{Rate: 1, Per: limit.Second, Scope: limit.ScopeAddress, Tenant: "t"}, limit.Limit{}, "scope: only the platform"},
		{"StarInside", limit.Rule{Rate: 1, Per: limit.Second, Match: "a*b"}, limit.Limit{}, "match: want"},
		{"TwoStars", limit.Rule{Rate: 1, Per: limit.Second, Match: "a**"}, limit.Limit{}, "match: want"},
		{"LongMatch", limit.Rule{Rate: 1, Per: limit.Second, Match: strings.Repeat("a", 257)}, limit.Limit{}, "match: want"},
		{"NoName", limit.Rule{Rate: 1, Per: limit.Second, Name: " "}, limit.Limit{}, "name: want"},
		{"LongName", limit.Rule{Rate: 1, Per: limit.Second, Name: strings.Repeat("a", 65)}, limit.Limit{}, "name: want"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rule.Name == "" {
				tt.rule.Name = "a"
			}
			if tt.rule.Scope == "" {
				tt.rule.Scope = limit.ScopeKey
			}
			got, err := tt.rule.Limit()
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("got %+v, %v, want %+v, %s", got, err, tt.want, tt.err)
			}
		})
	}
}

// The document of a record is the rule without its name and tenant.
func TestRuleJSON(t *testing.T) {
	rule := limit.Rule{Scope: limit.ScopeKey, Match: "pay-*", Rate: 100, Per: limit.Second, Burst: 200}
	text, err := json.Marshal(rule)
	const want = `{"scope":"key","match":"pay-*","rate":100,"per":"second","burst":200}`
	if err != nil || string(text) != want {
		t.Fatalf("got %s, %v, want %s", text, err, want)
	}
	var back limit.Rule
	if err := json.Unmarshal(text, &back); err != nil || back != rule {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestNewSetRefuses(t *testing.T) {
	rule := func(tenant, name, match string) limit.Rule {
		return limit.Rule{Tenant: tenant, Name: name, Scope: limit.ScopeKey, Match: match, Rate: 1, Per: limit.Second}
	}
	many := func(tenant string, n int) (rules []limit.Rule) {
		for i := range n {
			rules = append(rules, rule(tenant, fmt.Sprint("n", i), fmt.Sprint(i)))
		}
		return rules
	}
	tests := []struct {
		name  string
		rules []limit.Rule
		err   string
	}{
		{"Bad", []limit.Rule{rule("", "a", "a*b")}, `limit "a": match: want a name of at most 256 bytes, with * only at the end`},
		{"SameName", []limit.Rule{rule("", "a", "x"), rule("", "a", "y")}, `limit "a": there are two of this name`},
		{"SameMatch", []limit.Rule{rule("", "a", "x"), rule("", "b", "x")}, `limit "b": limit "a" has the same scope, period and match`},
		{"SamePrefix", []limit.Rule{rule("", "a", ""), rule("", "b", "*")}, `limit "b": limit "a" has the same scope, period and match`},
		{"TooMany", many("t", limit.MaxRules+1), `limit "n1000": there are more than 1000 rules`},
		{"ManyOwners", append(append(many("t", limit.MaxRules), many("", limit.MaxRules)...), many("u", 1)...), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := limit.NewSet(tt.rules)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.err, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
