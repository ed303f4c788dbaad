package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/overload"
	"github.com/sealwright/sealwright/server/internal/quota"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/telemetry"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// LimitsFile bounds what one request, one address and all together may ask for.
type LimitsFile struct {
	Body      Setting `yaml:"body"`
	BatchBody Setting `yaml:"batch_body"`
	Items     Setting `yaml:"items"`
	Diagnosis Setting `yaml:"diagnosis"`

	Concurrency Setting    `yaml:"concurrency"` // requests that are worked on at a time
	Queue       Setting    `yaml:"queue"`       // requests that wait for them
	Connections Setting    `yaml:"connections"` // new ones a second from one address
	Failures    Setting    `yaml:"failures"`    // whether failed attempts to authenticate are limited
	Rules       []RuleFile `yaml:"rules"`       // of the platform
}

// RuleFile is a limit of the platform; see docs/operate/limits.md.
type RuleFile struct {
	Name  Setting `yaml:"name"`
	Scope Setting `yaml:"scope"`
	Match Setting `yaml:"match"`
	Rate  Setting `yaml:"rate"`
	Per   Setting `yaml:"per"`
	Burst Setting `yaml:"burst"`

	line int
}

// UnmarshalYAML reads a rule and where it stands.
func (r *RuleFile) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a rule with name, scope, rate and per", n.Line)}}
	}
	fields := map[string]*Setting{"name": &r.Name, "scope": &r.Scope, "match": &r.Match, "rate": &r.Rate, "per": &r.Per, "burst": &r.Burst}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i]
		field := fields[name.Value]
		if field == nil { // or there twice
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: field %s not found, or there twice", name.Line, name.Value)}}
		}
		delete(fields, name.Value)
		if err := n.Content[i+1].Decode(field); err != nil {
			return err
		}
	}
	r.line = n.Line
	return nil
}

// limitsConfig is what of a LimitsFile is not of one request.
type limitsConfig struct {
	concurrency, queue, connections int
	failures                        bool
	rules                           []limit.Rule // they make a set
}

// Bounds and defaults of limits.
const (
	defaultConcurrency = 1024
	defaultConnections = 200
	maxConcurrency     = 1_000_000
)

func (s *settings) limits(f LimitsFile) limitsConfig {
	c := limitsConfig{
		concurrency: int(s.number("limits.concurrency", 0, f.Concurrency, defaultConcurrency, 1, maxConcurrency)),
		connections: int(s.number("limits.connections", 0, f.Connections, defaultConnections, 0, maxConcurrency)),
	}
	c.queue = int(s.number("limits.queue", 0, f.Queue, int64(c.concurrency), 0, maxConcurrency))
	c.failures = s.choice("limits.failures", "", f.Failures, "true", "false") == "true"
	c.rules = s.rules(f.Rules)
	return c
}

// rules checks each rule, and then all together.
func (s *settings) rules(files []RuleFile) []limit.Rule {
	var rules []limit.Rule
	for _, f := range files {
		r, err := f.rule()
		l, bad := r.Limit()
		if err = cmp.Or(err, bad); err != nil {
			s.check("limits.rules", Setting{Line: f.line}, err)
			continue
		}
		rules = append(rules, r)
		about := fmt.Sprintf("%s %s: %d a %s, %d at once", r.Scope, cmp.Or(r.Match, "*"), r.Rate, r.Per, l.Burst)
		s.holds("limits.rules."+r.Name, about, Setting{Line: f.line})
	}
	if _, err := limit.NewSet(rules); err != nil && len(rules) == len(files) { // which rules are good tells only then where
		for i := range rules {
			if _, err := limit.NewSet(rules[:i+1]); err != nil {
				s.check("limits.rules", Setting{Line: files[i].line}, err)
				break
			}
		}
	}
	return rules
}

// rule reads the numbers; [limit.NewSet] checks the rest.
func (r RuleFile) rule() (limit.Rule, error) {
	rule := limit.Rule{Name: r.Name.Text, Scope: limit.Scope(r.Scope.Text), Match: r.Match.Text, Per: limit.Period(r.Per.Text)}
	for name, n := range map[string]struct {
		from Setting
		to   *int
	}{"rate": {r.Rate, &rule.Rate}, "burst": {r.Burst, &rule.Burst}} {
		if n.from.Line == 0 {
			continue
		}
		v, err := strconv.Atoi(n.from.Text)
		if err != nil || v < 1 {
			return rule, fmt.Errorf("%s: got %q, want a number of at least 1", name, n.from.Text)
		}
		*n.to = v
	}
	if r.Match.Line > 0 && r.Match.Text == "" {
		return rule, errors.New("match: is empty")
	}
	return rule, nil
}

// requestLimits are those of one request.
func (c Config) requestLimits() rest.Limits {
	return rest.Limits{
		Body: c.Body, BatchBody: c.BatchBody, Items: c.Items, Progress: progressTimeout,
		Diagnosis: c.Diagnosis, Rejections: c.Rejections, RejectedBody: c.RejectedBody,
	}
}

// openLimits returns the limits of requests, counted in Redis if there is one,
// and those of them that can be changed.
func openLimits(ctx context.Context, c limitsConfig, shared *redis.Client, db database, callers *tenant.Service, log *slog.Logger) (*limit.Limiter, *quota.Service, error) {
	var counter limit.Counter = limit.Local{Map: limit.NewMap(time.Now(), 0)}
	if shared != nil {
		counter = shared.Limits(countNodes(db))
	}
	l := limit.NewLimiter(counter)
	names, err := tenantNames(callers)
	if err != nil {
		return nil, nil, err
	}
	q, err := quota.Open(ctx, quota.Options{
		Store: db, Limiter: l, Platform: c.rules, Tenants: names,
		Alarm: func(err error) { log.Error("a limit cannot be used", "error", err.Error()) },
	})
	return l, q, err
}

// limitConnections returns l with the limit of new connections, if there is one.
func limitConnections(c limitsConfig, l net.Listener, tls bool, log *slog.Logger, recorder *telemetry.Recorder) net.Listener {
	if c.connections == 0 {
		return l
	}
	limited := overload.LimitConnections(l, c.connections, tls, log)
	measureRefused(recorder, "sealwright_connections_refused_total", "Connections that were refused because one address opened too many.", limited.Refused)
	return limited
}

func measureRefused(recorder *telemetry.Recorder, name, help string, refused func() int64) {
	recorder.Total(telemetry.Metric{Name: name, Help: help}, func() float64 { return float64(refused()) })
}

// countEvery is for how long a count of the nodes is used.
const countEvery = 10 * time.Second

// countNodes returns how many nodes use db, at least 1, nil for a store of one.
// It asks once in a while, for a second at most, and knows the last answer.
func countNodes(db database) func() int {
	of, ok := db.(interface {
		Nodes(context.Context) ([]store.Node, error)
	})
	if !ok {
		return nil
	}
	var count, askedAt atomic.Int64
	return func() int {
		now, last := time.Now().UnixNano(), askedAt.Load()
		if now-last > int64(countEvery) && askedAt.CompareAndSwap(last, now) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if nodes, err := of.Nodes(ctx); err == nil {
				count.Store(int64(len(nodes)))
			}
		}
		return int(max(count.Load(), 1))
	}
}

// parseProxies reads addresses and networks with commas between them.
func parseProxies(text string) ([]netip.Prefix, error) {
	if text == "" {
		return nil, nil
	}
	var list []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		p, err := netip.ParsePrefix(part)
		if a, e := netip.ParseAddr(part); e == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("got %q, want an address such as 10.1.2.3 or a network such as 10.1.0.0/16", part)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("got %q, which trusts everybody", part)
		}
		list = append(list, p)
	}
	return list, nil
}
