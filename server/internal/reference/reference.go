// Package reference makes a page for people from an OpenAPI 3.1 document: the
// operations by tag with their parameters, bodies, answers and a command to try
// each, and the schemas. The page needs nothing but itself: no script, and one
// style, which its policy names by its digest.
package reference

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var style string

// Policy is the Content-Security-Policy with which a page has to be served.
func Policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// schema is what of a JSON schema is shown.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Enum        []any              `json:"enum"`
	Items       *schema            `json:"items"`
	OneOf       []*schema          `json:"oneOf"`
	Properties  map[string]*schema `json:"properties"`
	Additional  any                `json:"additionalProperties"`
	Required    []string           `json:"required"`
	Examples    []any              `json:"examples"`
	Default     any                `json:"default"`
	Minimum     any                `json:"minimum"`
	Maximum     any                `json:"maximum"`
}

type parameter struct {
	Name        string
	In          string
	Description string
	Required    bool
	Schema      *schema
}

type content map[string]struct{ Schema *schema }

type operation struct {
	OperationID string
	Summary     string
	Description string
	Tags        []string
	Parameters  []parameter
	RequestBody *struct {
		Required bool
		Content  content
	}
	Responses map[string]struct {
		Description string
		Content     content
	}
}

type document struct {
	Info  struct{ Title, Version, Description string }
	Paths map[string]struct{ Get, Put, Post, Patch, Delete *operation }

	Components struct {
		Schemas         map[string]*schema
		SecuritySchemes map[string]struct{ Description string }
	}
}

// shown is an operation as the template gets it.
type shown struct {
	*operation
	Method, Path, Try string
}

// group are the operations of one tag.
type group struct {
	Tag        string
	Operations []shown
}

// Page returns the HTML of an OpenAPI document in JSON.
func Page(openAPI []byte) ([]byte, error) {
	var d document
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"kind": kind, "ref": refName, "members": members, "join": strings.Join,
		"style": func() template.CSS { return template.CSS(style) }, // a constant of this package
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, map[string]any{"Document": d, "Groups": groups(d)}); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return out.Bytes(), nil
}

// groups returns the operations by tag, path and method.
func groups(d document) []group {
	byTag := map[string][]shown{}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		item := d.Paths[path]
		for _, m := range []struct {
			name string
			op   *operation
		}{{"GET", item.Get}, {"POST", item.Post}, {"PUT", item.Put}, {"PATCH", item.Patch}, {"DELETE", item.Delete}} {
			if m.op == nil {
				continue
			}
			tag := "other"
			if len(m.op.Tags) > 0 {
				tag = m.op.Tags[0]
			}
			byTag[tag] = append(byTag[tag], shown{m.op, m.name, path, try(d, m.name, path, m.op)})
		}
	}
	var all []group
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		all = append(all, group{tag, byTag[tag]})
	}
	return all
}

// try returns a command that sends an example.
func try(d document, method, path string, op *operation) string {
	var b strings.Builder
	b.WriteString(`curl -sS -H "Authorization: Bearer $TOKEN"`)
	if method != "GET" && (method != "POST" || op.RequestBody == nil) {
		b.WriteString(" -X " + method)
	}
	b.WriteString(` "$URL` + path + `"`)
	if op.RequestBody != nil {
		if m, ok := op.RequestBody.Content["application/json"]; ok {
			example, err := json.Marshal(d.example(m.Schema, 0))
			if err == nil {
				b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(string(example), "'", `'\''`) + "'")
			}
		}
	}
	return b.String()
}

// example returns a value of s: its own example, or its required members, or
// those that have an example.
func (d document) example(s *schema, depth int) any {
	if s == nil || depth > 6 {
		return nil
	}
	if name := refName(s); name != "" {
		return d.example(d.Components.Schemas[name], depth+1)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return d.example(s.OneOf[0], depth+1)
	}
	switch kinds(s)[0] {
	case "object":
		o := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) || len(p.Examples) > 0 && len(s.Required) == 0 {
				o[name] = d.example(p, depth+1)
			}
		}
		return o
	case "array":
		return []any{d.example(s.Items, depth+1)}
	case "integer", "number":
		return cmp.Or[any](s.Minimum, 1)
	case "boolean":
		return true
	}
	return "…"
}

// refName returns the name of the schema that s refers to, or nothing.
func refName(s *schema) string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] }

// kinds returns the types of s, at least one.
func kinds(s *schema) []string {
	switch t := s.Type.(type) {
	case string:
		return []string{t}
	case []any:
		var all []string
		for _, v := range t {
			all = append(all, fmt.Sprint(v))
		}
		return all
	}
	return []string{"any"}
}

// kind says in words what values s has.
func kind(s *schema) string {
	if s == nil {
		return ""
	}
	if name := refName(s); name != "" {
		return name
	}
	if len(s.OneOf) > 0 {
		var all []string
		for _, o := range s.OneOf {
			all = append(all, kind(o))
		}
		return strings.Join(all, " or ")
	}
	text := strings.Join(kinds(s), " or ")
	if s.Items != nil {
		text = "array of " + kind(s.Items)
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if s.Minimum != nil {
		text += fmt.Sprintf(", from %v", s.Minimum)
	}
	if s.Maximum != nil {
		text += fmt.Sprintf(", up to %v", s.Maximum)
	}
	for i, v := range s.Enum {
		text += map[bool]string{true: ": ", false: ", "}[i == 0] + fmt.Sprint(v)
	}
	return text
}

// member is a line of a table of members.
type member struct {
	Name     string
	Schema   *schema
	Required bool
	Ref      string // of the schema, or of its items
}

func members(s *schema) []member {
	var all []member
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		ref := refName(p)
		if p.Items != nil && ref == "" {
			ref = refName(p.Items)
		}
		all = append(all, member{name, p, slices.Contains(s.Required, name), ref})
	}
	return all
}
