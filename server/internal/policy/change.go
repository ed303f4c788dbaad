package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Terms say under which conditions a policy is changed.
type Terms struct {
	// IfVersion is the version that the policy must have; 0 means any, and that
	// it may be missing, and -1 that it must be missing.
	IfVersion int64
	DryRun    bool // everything is checked, and nothing is stored
}

// IfMissing is [Terms.IfVersion] for a policy that must not be there.
const IfMissing = -1

// ValidID reports whether id can be that of a policy: 1 to [MaxName] bytes,
// first a lower-case letter or a digit of ASCII, then also dots, underscores and
// hyphens.
func ValidID(id string) bool {
	if id == "" || len(id) > MaxName {
		return false
	}
	for i, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// Set makes rules those of a policy of the tenant of caller, and returns it as
// it is, or would be. Rules that do not compile are refused, and those before
// stay in force. The error is of kind [fault.Denied], [fault.Invalid], or
// [fault.Conflict], with [ErrPrecondition] if the version is not that of t.
func (s *Service) Set(ctx context.Context, caller access.Caller, id string, rules []Rule, t Terms) (*Policy, error) {
	if err := s.allow(ctx, caller, access.PolicySet, id); err != nil {
		return nil, err
	}
	if !ValidID(id) {
		return nil, fault.New(fault.Invalid, "id: got %d bytes, want 1 to %d of a-z 0-9 . _ -, first a letter or digit", len(id), MaxName)
	}
	if text, err := json.Marshal(rules); err != nil || len(text) > MaxSource {
		return nil, fault.New(fault.Invalid, "rules: got %d bytes, want at most %d", len(text), MaxSource)
	}
	if _, err := compile(id, rules, func(int) string { return "" }); err != nil {
		return nil, err
	}
	return s.replace(ctx, caller, access.PolicySet, id, t, func(loaded) ([]Rule, detail, error) {
		return slices.Clone(rules), detail{"rules": len(rules)}, nil
	})
}

// Rollback makes the rules of an earlier version those of a policy again, as a
// new version. The error is of kind [fault.NotFound] for a version that is not
// kept or was the deletion, and otherwise that of [Service.Set].
func (s *Service) Rollback(ctx context.Context, caller access.Caller, id string, to int64, t Terms) (*Policy, error) {
	if err := s.allow(ctx, caller, access.PolicySet, id); err != nil {
		return nil, err
	}
	return s.replace(ctx, caller, access.PolicySet, id, t, func(was loaded) ([]Rule, detail, error) {
		if was.record.Version == 0 {
			return nil, nil, noPolicy(id)
		}
		d, err := s.version(ctx, caller.Tenant, id, to)
		if err == nil && d.Deleted {
			err = noVersion(id, to)
		}
		return d.Rules, detail{"rules": len(d.Rules), "rollback_to": to}, err
	})
}

// Delete takes a policy out of force. Its versions are kept. The error is of
// kind [fault.NotFound], or that of [Service.Set].
func (s *Service) Delete(ctx context.Context, caller access.Caller, id string, t Terms) error {
	if err := s.allow(ctx, caller, access.PolicyDelete, id); err != nil {
		return err
	}
	_, err := s.replace(ctx, caller, access.PolicyDelete, id, t, func(was loaded) ([]Rule, detail, error) {
		if !was.exists {
			return nil, nil, noPolicy(id)
		}
		return nil, nil, nil
	})
	return err
}

// detail is what an entry says beside who, what and when.
type detail map[string]any

// replace stores the next version of a policy, whose rules next returns.
func (s *Service) replace(ctx context.Context, caller access.Caller, action access.Action, id string, t Terms, next func(loaded) ([]Rule, detail, error)) (*Policy, error) {
	s.change.Lock()
	defer s.change.Unlock()
	var made *Policy
	once := func() error {
		was, err := s.loadPolicy(ctx, caller.Tenant, id)
		if err == nil {
			err = t.check(id, was)
		}
		if err == nil && !was.exists && action == access.PolicySet {
			err = s.room(caller.Tenant)
		}
		if err != nil {
			return err
		}
		rules, about, err := next(was)
		if err != nil {
			return err
		}
		d := policyDoc{Rules: rules, At: s.now().UTC().Truncate(time.Microsecond), By: caller.ID, Deleted: action == access.PolicyDelete}
		if made, err = d.policy(caller.Tenant, id, was.record.Version+1); err != nil || t.DryRun {
			return err
		}
		e := store.Entry{At: d.At, Tenant: caller.Tenant, Caller: caller.ID, Action: string(action)}
		if about != nil {
			e.Detail, _ = json.Marshal(about) // numbers
		}
		return s.put(ctx, was, d, e)
	}
	var err error
	for range attempts {
		if err = once(); fault.KindOf(err) != fault.Conflict || errors.Is(err, ErrPrecondition) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("change policy %q: %w", cut(id), err)
	}
	return made, nil
}

func (t Terms) check(id string, was loaded) error {
	switch {
	case t.IfVersion == IfMissing && was.exists:
		return fault.New(fault.Conflict, "policy %q exists already", id)
	case t.IfVersion > 0 && (!was.exists || t.IfVersion != was.record.Version):
		return fault.New(fault.Conflict, "policy %q has version %d, not %d", id, was.record.Version, t.IfVersion).Because(ErrPrecondition)
	}
	return nil
}

func (s *Service) room(tenant string) error {
	count := 0
	if t := (*s.shown.Load())[tenant]; t != nil {
		for p := range maps.Values(t.all) {
			if !p.deleted {
				count++
			}
		}
	}
	if count >= MaxPolicies {
		return fault.New(fault.Invalid, "the tenant has %d policies, which is the most", count)
	}
	return nil
}

// allow is [access.Allow]; a refusal leaves an entry.
func (s *Service) allow(ctx context.Context, caller access.Caller, action access.Action, id string) error {
	refusal := access.Allow(caller, action, access.Target{Tenant: caller.Tenant})
	if refusal == nil {
		return nil
	}
	e := store.Entry{
		At: s.now().UTC().Truncate(time.Microsecond), Tenant: caller.Tenant, Caller: caller.ID, Action: string(action),
		Kind: kindPolicy, Reason: fault.Public(refusal),
	}
	if ValidID(id) {
		e.Name = id
	}
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return fault.New(fault.Denied, "%s", fault.Public(refusal)).Because(fmt.Errorf("store the entry about it: %w", err))
	}
	return refusal
}

// version loads a version that is kept.
func (s *Service) version(ctx context.Context, tenant, id string, version int64) (policyDoc, error) {
	r, err := s.store.Load(ctx, tenant, kindVersion, slot(id, version))
	if fault.KindOf(err) == fault.NotFound {
		return policyDoc{}, noVersion(id, version)
	}
	if err != nil {
		return policyDoc{}, err
	}
	d, err := parseDoc(r)
	if err == nil && d.Version != version {
		err = noVersion(id, version)
	}
	return d, err
}

// Versions returns the versions of a policy of the tenant of caller that are
// kept, the newest first, also of one that was deleted. One that this process
// cannot read has only its place. The error is of kind [fault.NotFound] or
// [fault.Denied].
func (s *Service) Versions(ctx context.Context, caller access.Caller, id string) ([]*Policy, error) {
	if err := access.Allow(caller, access.PolicyRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	if !ValidID(id) {
		return nil, noPolicy(id)
	}
	var list []*Policy
	for n := range int64(Kept) {
		r, err := s.store.Load(ctx, caller.Tenant, kindVersion, slot(id, n))
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list versions of policy %q: %w", id, err)
		}
		d, err := parseDoc(r)
		list = append(list, &Policy{
			Tenant: caller.Tenant, ID: id, Version: d.Version, Rules: d.Rules, UpdatedAt: d.At, UpdatedBy: d.By, Trouble: err, deleted: d.Deleted,
		})
	}
	if len(list) == 0 {
		return nil, noPolicy(id)
	}
	slices.SortFunc(list, func(a, b *Policy) int { return int(b.Version - a.Version) })
	return list, nil
}

// Deleted reports whether this version of a policy is its deletion.
func (p *Policy) Deleted() bool { return p.deleted }

// Find returns a policy of the tenant of caller. The error is of kind
// [fault.NotFound] or [fault.Denied].
func (s *Service) Find(caller access.Caller, id string) (*Policy, error) {
	if err := access.Allow(caller, access.PolicyRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	if p := (*s.shown.Load())[caller.Tenant].find(id); p != nil && !p.deleted {
		return p, nil
	}
	return nil, noPolicy(id)
}

// List returns the policies of the tenant of caller in the order in which they
// are asked, that of their IDs. The error is of kind [fault.Denied].
func (s *Service) List(caller access.Caller) ([]*Policy, error) {
	if err := access.Allow(caller, access.PolicyRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	var list []*Policy
	if t := (*s.shown.Load())[caller.Tenant]; t != nil {
		for _, p := range t.all {
			if !p.deleted {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Policy) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// Explain says what a policy alone says about an operation, and what each of
// its rules did. If no other key is chosen and in has an algorithm, the demands
// on the key are checked too. The error is that of [Service.Find], or of kind
// [fault.Unavailable] for a policy without rules that can be used.
func (s *Service) Explain(caller access.Caller, id string, in Input) (Decision, []Outcome, error) {
	p, err := s.Find(caller, id)
	if err != nil {
		return Decision{}, nil, err
	}
	if p.set == nil && p.Trouble != nil {
		return Decision{}, nil, fault.New(fault.Unavailable, "policy %q cannot be used by this version of sealwright", id).Because(p.Trouble)
	}
	in.Tenant = caller.Tenant
	if in.Time.IsZero() {
		in.Time = s.now()
	}
	d, outcomes := p.set.ExplainInput(in)
	return d, outcomes, nil
}

func noPolicy(id string) error {
	if !ValidID(id) {
		return fault.New(fault.NotFound, "no policy of this ID")
	}
	return fault.New(fault.NotFound, "no policy %q", id)
}

func noVersion(id string, version int64) error {
	return fault.New(fault.NotFound, "policy %q has no version %d that is kept and has rules; the last %d are kept", id, version, Kept)
}
