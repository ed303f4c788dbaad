package api

import "time"

// CreatePolicy is the body of POST /v1/policies.
type CreatePolicy struct {
	ID    string       `json:"id" maxLength:"64" doc:"1 to 64 of a-z 0-9 . _ -, first a letter or digit. Policies are asked in the order of their IDs." example:"10-company"`
	Rules []PolicyRule `json:"rules" nullable:"false" maxItems:"1000" doc:"In the order in which they are asked."`
}

// SetPolicy is the body of PUT /v1/policies/{id}.
type SetPolicy struct {
	Rules []PolicyRule `json:"rules" nullable:"false" maxItems:"1000" doc:"In the order in which they are asked. None takes the policy out of force."`
}

// PolicyRule holds for an operation if all fields of match fit and when is
// true. Its effects are those that are set, at least one.
type PolicyRule struct {
	ID     string            `json:"id" maxLength:"128" doc:"Unique in the policy: letters, digits, dots, hyphens and underscores." example:"financial-512"`
	Reason string            `json:"reason,omitempty" maxLength:"512" doc:"For the log and for explanations." example:"financial data needs 512 bits"`
	Match  PolicyMatch       `json:"match,omitzero" doc:"Plain conditions, which cost nothing. Names are exact, or end in * for all that begin so."`
	When   string            `json:"when,omitempty" maxLength:"4096" doc:"An expression in CEL of type bool, over action, caller, tenant, key, purpose, algorithm, environment, source, target, resource, classes, labels, address and time." example:"environment == 'production' && !('ticket' in labels)"`
	Deny   bool              `json:"deny,omitempty" doc:"Refuse the operation."`
	Use    string            `json:"use_key,omitempty" maxLength:"512" doc:"Name of the key that is used in place of the one asked for. The caller needs no right to it." example:"ledger-512"`
	Audit  string            `json:"audit,omitempty" enum:"counted,batched,durable" doc:"How the operation is recorded."`
	Needs  PolicyNeeds       `json:"require,omitzero" doc:"What the operation must fulfil, or it is refused."`
	Labels map[string]string `json:"labels,omitempty" doc:"Of the rule, for people; nothing looks at them."`
}

// PolicyMatch are the plain conditions of a [PolicyRule]. A field fits if it is
// absent or one of its values fits.
type PolicyMatch struct {
	Action      []string `json:"action,omitempty" nullable:"false" maxItems:"100" example:"key.sign"`
	Caller      []string `json:"caller,omitempty" nullable:"false" maxItems:"100"`
	Key         []string `json:"key,omitempty" nullable:"false" maxItems:"100" doc:"As the caller named it." example:"orders-*"`
	Purpose     []string `json:"purpose,omitempty" nullable:"false" maxItems:"100"`
	Classes     []string `json:"classes,omitempty" nullable:"false" maxItems:"100" doc:"One of the classes of the data must fit one of these." example:"financial"`
	Environment []string `json:"environment,omitempty" nullable:"false" maxItems:"100"`
}

// PolicyNeeds are what a [PolicyRule] demands.
type PolicyNeeds struct {
	Algorithm   []string `json:"algorithm,omitempty" nullable:"false" maxItems:"100" doc:"The key that is used must have one of these." example:"hmac-sha512"`
	MinStrength int      `json:"min_strength,omitempty" minimum:"0" maximum:"512" doc:"Bits of its tags, 256 to 512; 0 means any." example:"512"`
	Context     []string `json:"context,omitempty" nullable:"false" maxItems:"100" doc:"Metadata that must be given: environment, source, target, resource, classes or labels.NAME." example:"labels.ticket"`
}

// Policy is a policy of a tenant, or one of its versions.
type Policy struct {
	ID        string       `json:"id" example:"10-company"`
	Version   int64        `json:"version" doc:"One more with every change; also its ETag." example:"3"`
	Rules     []PolicyRule `json:"rules,omitempty" nullable:"false" doc:"Absent in lists."`
	Count     int          `json:"count" doc:"How many rules it has." example:"12"`
	UpdatedAt time.Time    `json:"updated_at"`
	UpdatedBy string       `json:"updated_by,omitempty" doc:"The caller who made this version." example:"alice"`
	Deleted   bool         `json:"deleted,omitempty" doc:"This version is the deletion of the policy."`
	Trouble   string       `json:"trouble,omitempty" doc:"Why the newest version cannot be used by this node; the one that is shown is in force, or everything is refused if it has no rules."`
	DryRun    bool         `json:"dry_run,omitempty" doc:"Nothing was stored: the policy would be this one."`
}

// PolicyList is the answer of GET /v1/policies, in the order in which policies
// are asked, and of GET /v1/policies/{id}/versions, the newest first.
type PolicyList struct {
	Items []Policy `json:"items" nullable:"false"`
}

// RollbackPolicy is the body of POST /v1/policies/{id}/rollback.
type RollbackPolicy struct {
	Version int64 `json:"version" minimum:"1" doc:"The version whose rules come into force again, as a new version." example:"2"`
}

// PolicyInput is the body of POST /v1/policies/{id}/explain: an operation, as
// rules see it. What is absent is empty.
type PolicyInput struct {
	Action      string            `json:"action,omitempty" maxLength:"512" example:"key.sign"`
	Caller      string            `json:"caller,omitempty" maxLength:"512" example:"billing"`
	Key         string            `json:"key,omitempty" maxLength:"512" doc:"As the caller names it." example:"orders"`
	Purpose     string            `json:"purpose,omitempty" maxLength:"512"`
	Algorithm   string            `json:"algorithm,omitempty" maxLength:"512" doc:"Of that key; without it the demands on the key are listed and not checked." example:"hmac-sha256"`
	Environment string            `json:"environment,omitempty" maxLength:"512" example:"production"`
	Source      string            `json:"source,omitempty" maxLength:"512"`
	Target      string            `json:"target,omitempty" maxLength:"512"`
	Resource    string            `json:"resource,omitempty" maxLength:"512" doc:"The data catalogue is not asked: give the classes."`
	Classes     []string          `json:"classes,omitempty" nullable:"false" maxItems:"64" example:"financial"`
	Labels      map[string]string `json:"labels,omitempty"`
	Address     string            `json:"address,omitempty" maxLength:"512" example:"192.0.2.1"`
	Time        *time.Time        `json:"time,omitempty" doc:"By default that of the server."`
}

// PolicyExplanation is what a policy says about an operation, and why.
type PolicyExplanation struct {
	Allowed  bool            `json:"allowed"`
	Rule     string          `json:"rule,omitempty" doc:"That refuses, with the policy in front." example:"10-company/financial-512"`
	Reason   string          `json:"reason,omitempty" doc:"Why, as in the log."`
	Key      string          `json:"use_key,omitempty" doc:"The key that is used in place of the one asked for."`
	Audit    string          `json:"audit,omitempty"`
	Demands  []PolicyDemand  `json:"require,omitempty" nullable:"false" doc:"What the key that is used must fulfil."`
	Outcomes []PolicyOutcome `json:"outcomes" nullable:"false" doc:"Of every rule, in their order. Those after one that refuses are not asked."`
}

// PolicyDemand is what one rule demands of the key that is used.
type PolicyDemand struct {
	Rule string `json:"rule"`
	PolicyNeeds
}

// PolicyOutcome says what one rule did.
type PolicyOutcome struct {
	Rule    string `json:"rule" example:"financial-512"`
	Matches bool   `json:"matches" doc:"All fields of match fit."`
	When    *bool  `json:"when,omitempty" doc:"What the expression said; absent if it was not asked."`
	Error   string `json:"error,omitempty" doc:"Of the expression; it refuses the operation."`
	Effect  string `json:"effect,omitempty" doc:"What the rule did; absent if nothing." example:"use_key ledger-512"`
}
