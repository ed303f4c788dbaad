package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Kinds of records, and the newest format of both that this version reads. The
// versions of a policy are in as many records as are kept, each of which is
// written again and again.
const (
	kindPolicy  = "policy"         // tenant, ID; its version is that of the policy
	kindVersion = "policy-version" // tenant, ID and a slot

	format = 1
)

// policyDoc is format 1 of both.
type policyDoc struct {
	Version int64     `json:"version"`
	Rules   []Rule    `json:"rules"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Deleted bool      `json:"deleted,omitempty"`
}

// slot returns the name of the record that keeps a version.
func slot(id string, version int64) string { return fmt.Sprintf("%s/%02d", id, version%Kept) }

func parseDoc(r store.Record) (policyDoc, error) {
	var d policyDoc
	if err := r.CheckFormat(format); err != nil {
		return d, err
	}
	dec := json.NewDecoder(bytes.NewReader(r.Doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, fault.New(fault.Internal, "%s %q is damaged", r.Kind, r.Name).Because(err)
	}
	return d, nil
}

// parsePolicy reads and compiles a record.
func parsePolicy(r store.Record) (*Policy, error) {
	d, err := parseDoc(r)
	if err != nil {
		return nil, err
	}
	return d.policy(r.Tenant, r.Name, r.Version)
}

func (d policyDoc) policy(tenant, id string, version int64) (*Policy, error) {
	p := &Policy{Tenant: tenant, ID: id, Version: version, Rules: d.Rules, UpdatedAt: d.At, UpdatedBy: d.By, deleted: d.Deleted}
	if d.Deleted || len(d.Rules) == 0 {
		return p, nil
	}
	set, err := compile(id, d.Rules, func(int) string { return "" })
	p.set = set
	return p, err
}

// loaded is what a change of a policy begins with.
type loaded struct {
	record store.Record // to put again; version 0 if there is none
	doc    policyDoc
	exists bool // and is not deleted
}

// load reads a policy as it is in the store. One that this version cannot read
// is there, and may be replaced.
func (s *Service) loadPolicy(ctx context.Context, tenant, id string) (loaded, error) {
	r, err := s.store.Load(ctx, tenant, kindPolicy, id)
	if fault.KindOf(err) == fault.NotFound {
		return loaded{record: store.Record{Tenant: tenant, Kind: kindPolicy, ID: tenant + "/" + id, Name: id}}, nil
	}
	if err != nil {
		return loaded{}, err
	}
	if err := r.CheckFormat(format); err != nil {
		return loaded{}, err
	}
	d, err := parseDoc(r)
	return loaded{r, d, err != nil || !d.Deleted}, nil
}

// put stores d as the next version of what was loaded, with its copy and an
// entry, and brings it into force.
func (s *Service) put(ctx context.Context, was loaded, d policyDoc, e store.Entry) error {
	r := was.record
	d.Version = r.Version + 1
	text, err := json.Marshal(d)
	if err != nil {
		return fault.New(fault.Internal, "policy %q cannot be written", r.Name).Because(err)
	}
	r.Format, r.Doc = format, text
	kept, err := s.store.Load(ctx, r.Tenant, kindVersion, slot(r.Name, d.Version))
	if fault.KindOf(err) == fault.NotFound {
		name := slot(r.Name, d.Version)
		kept, err = store.Record{Tenant: r.Tenant, Kind: kindVersion, ID: r.Tenant + "/" + name, Name: name}, nil
	}
	if err != nil {
		return err
	}
	kept.Format, kept.Doc = format, text
	e.Kind, e.RecordID, e.Name = kindPolicy, r.ID, r.Name
	if err := s.commit(ctx, store.Change{Puts: []store.Record{r, kept}, Entries: []store.Entry{e}}); err != nil {
		return err
	}
	r.Version++
	s.show(r)
	return nil
}

// settleTimeout is how long a commit whose outcome is unknown is looked for.
const settleTimeout = 5 * time.Second

// commit stores c. It returns nil also if the store said otherwise because its
// answer was lost.
func (s *Service) commit(ctx context.Context, c store.Change) error {
	_, err := s.store.Commit(ctx, c)
	switch fault.KindOf(err) {
	case 0, fault.Conflict, fault.Invalid:
		return err
	}
	if len(c.Puts) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	want := c.Puts[0]
	got, loadErr := s.store.Load(ctx, want.Tenant, want.Kind, want.Name)
	if loadErr == nil && got.Version == want.Version+1 && bytes.Equal(got.Doc, want.Doc) {
		return nil
	}
	return err
}
