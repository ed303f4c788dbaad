package limit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind and Format of the records that hold a rule: the document is the JSON of
// a [Rule], its name and tenant are those of the record.
const (
	Kind   = "limit"
	Format = 1
)

// MaxRules is the most rules of one tenant, and of the platform.
const MaxRules = 1000

// Scope says whom a rule counts.
type Scope string

// The scopes, in the order in which they are asked.
const (
	ScopeAddress Scope = "address" // source address; of IPv6 the first 64 bits
	ScopeCaller  Scope = "caller"
	ScopeKey     Scope = "key"
	ScopeTenant  Scope = "tenant"
)

// Period is the time in which the rate of a rule is granted.
type Period string

// The periods. A day has 24 hours and a month 30 days, from whenever.
const (
	Second Period = "second"
	Minute Period = "minute"
	Hour   Period = "hour"
	Day    Period = "day"
	Month  Period = "month"
)

// Duration returns the length of the period, 0 for none of them.
func (p Period) Duration() time.Duration {
	switch p {
	case Second:
		return time.Second
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	case Day:
		return 24 * time.Hour
	case Month:
		return 30 * 24 * time.Hour
	}
	return 0
}

// Rule grants each subject of its scope that matches Rate units a period, and
// Burst at once. Of the rules of one owner for the same scope and period, the
// one whose match is the most exact counts, so that an exception can grant more;
// rules of another period or owner count beside it.
type Rule struct {
	Name   string `json:"-"`               // 1 to 64 of a-z, 0-9 and -
	Tenant string `json:"-"`               // that owns the rule; empty means the platform, whose rules hold in every tenant
	Scope  Scope  `json:"scope"`           //
	Match  string `json:"match,omitempty"` // name of the subject, or its beginning and *; empty means *
	Rate   int    `json:"rate"`            // units a period
	Per    Period `json:"per"`             //
	Burst  int    `json:"burst,omitempty"` // units at once; 0 means Rate
}

// maxWindow keeps times exact in the numbers of every counter.
const maxWindow = 366 * 24 * time.Hour

// Limit returns what the rule grants, or why it cannot be used. The interval is
// rounded up to whole microseconds, so that never more than Rate is granted: at
// 30,000 a second that is 1% less.
func (r Rule) Limit() (Limit, error) {
	if err := r.check(); err != nil {
		return Limit{}, err
	}
	l := Limit{Burst: cmp.Or(r.Burst, r.Rate)}
	units := int64(r.Per.Duration() / time.Microsecond)
	l.Interval = time.Duration((units+int64(r.Rate)-1)/int64(r.Rate)) * time.Microsecond
	if most := int64(maxWindow / l.Interval); int64(l.Burst) > most {
		return Limit{}, fmt.Errorf("burst: got %d, want at most %d at this rate, what a year brings", l.Burst, most)
	}
	return l, nil
}

func (r Rule) check() error {
	switch most := int64(r.Per.Duration() / time.Microsecond); {
	case !ValidName(r.Name):
		return errors.New("name: want 1 to 64 of a-z, 0-9 and -")
	case !slices.Contains([]Scope{ScopeAddress, ScopeCaller, ScopeKey, ScopeTenant}, r.Scope):
		return fmt.Errorf("scope: got %q, want address, caller, key or tenant", r.Scope)
	case r.Scope == ScopeAddress && r.Tenant != "":
		return errors.New("scope: only the platform limits addresses")
	case len(r.Match) > 256 || strings.Contains(strings.TrimSuffix(r.Match, "*"), "*"):
		return errors.New("match: want a name of at most 256 bytes, with * only at the end")
	case most == 0:
		return fmt.Errorf("per: got %q, want second, minute, hour, day or month", r.Per)
	case r.Rate < 1 || int64(r.Rate) > most:
		return fmt.Errorf("rate: got %d, want 1 to %d", r.Rate, most)
	case r.Burst < 0:
		return fmt.Errorf("burst: got %d, want 1 or more, or 0 for the rate", r.Burst)
	}
	return nil
}

// ValidName reports whether a rule can have this name: 1 to 64 of a-z, 0-9 and
// hyphens.
func ValidName(name string) bool {
	return len(name) >= 1 && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Set is an immutable set of rules, ready to be looked up. The nil Set has none.
type Set struct {
	groups map[string][]group // by owner
}

// group are the rules of one owner for one scope and period.
type group struct {
	scope    Scope
	per      Period
	exact    map[string]*compiled
	prefixes []*compiled // the longest first; * is the empty one
}

type compiled struct {
	name   string // for people
	id     string // for keys: those of tenants and platform differ
	prefix string
	limit  Limit
}

// NewSet compiles rules. The error names the rule that cannot be used. No rules
// are the nil Set.
func NewSet(rules []Rule) (*Set, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	s := &Set{groups: map[string][]group{}}
	seen, count := map[[2]string]bool{}, map[string]int{}
	for _, r := range rules {
		l, err := r.Limit()
		if id := [2]string{r.Tenant, r.Name}; err == nil && seen[id] {
			err = errors.New("there are two of this name")
		} else {
			seen[id] = true
		}
		if err == nil {
			err = s.add(r, l)
		}
		if count[r.Tenant]++; err == nil && count[r.Tenant] > MaxRules {
			err = fmt.Errorf("there are more than %d rules", MaxRules)
		}
		if err != nil {
			return nil, fmt.Errorf("limit %q: %w", r.Name, err)
		}
	}
	for _, groups := range s.groups {
		slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(order(a.scope), order(b.scope)) })
		for _, g := range groups {
			slices.SortFunc(g.prefixes, func(a, b *compiled) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
		}
	}
	return s, nil
}

func order(s Scope) int {
	return slices.Index([]Scope{ScopeAddress, ScopeCaller, ScopeKey, ScopeTenant}, s)
}

// id tells the rules of a tenant and of the platform apart.
func (r Rule) id() string {
	if r.Tenant == "" {
		return "platform:" + r.Name
	}
	return r.Name
}

func (s *Set) add(r Rule, l Limit) error {
	groups := s.groups[r.Tenant]
	i := slices.IndexFunc(groups, func(g group) bool { return g.scope == r.Scope && g.per == r.Per })
	if i < 0 {
		i = len(groups)
		groups = append(groups, group{scope: r.Scope, per: r.Per, exact: map[string]*compiled{}})
		s.groups[r.Tenant] = groups
	}
	g := &groups[i]
	c := &compiled{name: r.Name, id: r.id(), limit: l}
	prefix, open := strings.CutSuffix(cmp.Or(r.Match, "*"), "*")
	if !open {
		if other := g.exact[r.Match]; other != nil {
			return fmt.Errorf("limit %q has the same scope, period and match", other.name)
		}
		g.exact[r.Match] = c
		return nil
	}
	for _, other := range g.prefixes {
		if other.prefix == prefix {
			return fmt.Errorf("limit %q has the same scope, period and match", other.name)
		}
	}
	c.prefix = prefix
	g.prefixes = append(g.prefixes, c)
	return nil
}

// find returns the rule that counts for subject, nil if there is none.
func (g *group) find(subject string) *compiled {
	if c := g.exact[subject]; c != nil {
		return c
	}
	for _, c := range g.prefixes {
		if strings.HasPrefix(subject, c.prefix) {
			return c
		}
	}
	return nil
}
