// Package compat compares two OpenAPI 3.1 documents: whether a program that was
// written for the older one works with the newer one. It is for tests only.
//
// What a client sends may become wider and what it gets may have more, never the
// other way round. Not compared are texts, examples, security and the "default"
// response.
package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

type object = map[string]any

// Breaks returns what of older does not hold in newer any more, with its place,
// sorted. The error says that one of them is no JSON object.
func Breaks(older, newer []byte) ([]string, error) {
	c := comparison{busy: map[[2]string]bool{}}
	if err := json.Unmarshal(older, &c.older); err != nil {
		return nil, fmt.Errorf("older document: %w", err)
	}
	if err := json.Unmarshal(newer, &c.newer); err != nil {
		return nil, fmt.Errorf("newer document: %w", err)
	}
	for path, was := range child(c.older, "paths") {
		c.path(path, toObject(was), child(child(c.newer, "paths"), path))
	}
	slices.Sort(c.breaks)
	return slices.Compact(c.breaks), nil
}

type comparison struct {
	older, newer object
	breaks       []string
	busy         map[[2]string]bool // references that are being compared, by direction
}

func (c *comparison) add(place, format string, args ...any) {
	c.breaks = append(c.breaks, place+": "+fmt.Sprintf(format, args...))
}

func toObject(v any) object {
	o, _ := v.(object)
	return o
}

func child(o object, name string) object { return toObject(o[name]) }

var methods = []string{"get", "put", "post", "patch", "delete", "head", "options"}

func (c *comparison) path(path string, was, is object) {
	if is == nil {
		c.add(path, "removed")
		return
	}
	for _, method := range methods {
		if was[method] == nil {
			continue
		}
		place := method + " " + path
		if is[method] == nil {
			c.add(place, "removed")
			continue
		}
		c.operation(place, child(was, method), child(is, method))
	}
}

func (c *comparison) operation(place string, was, is object) {
	before, after := parameters(was), parameters(is)
	for name, p := range before {
		q := after[name]
		if q == nil {
			c.add(place+" "+name, "parameter removed")
			continue
		}
		if p["required"] != true && q["required"] == true {
			c.add(place+" "+name, "parameter is required now")
		}
		c.schema(place+" "+name, child(p, "schema"), child(q, "schema"), true)
	}
	for name, q := range after {
		if before[name] == nil && q["required"] == true {
			c.add(place+" "+name, "new parameter is required")
		}
	}
	b, d := child(was, "requestBody"), child(is, "requestBody")
	if b["required"] != true && d["required"] == true {
		c.add(place+" body", "is required now")
	}
	c.content(place+" body", child(b, "content"), child(d, "content"), true)
	for status, r := range child(was, "responses") {
		if status == "default" {
			continue
		}
		s := child(child(is, "responses"), status)
		if s == nil {
			c.add(place+" "+status, "response removed")
			continue
		}
		c.content(place+" "+status, child(toObject(r), "content"), child(s, "content"), false)
		for name := range child(toObject(r), "headers") {
			if child(s, "headers")[name] == nil {
				c.add(place+" "+status, "header %s removed", name)
			}
		}
	}
}

// parameters returns those of an operation by place and name.
func parameters(op object) map[string]object {
	all := map[string]object{}
	list, _ := op["parameters"].([]any)
	for _, v := range list {
		p := toObject(v)
		all[fmt.Sprint(p["in"], " ", p["name"])] = p
	}
	return all
}

func (c *comparison) content(place string, was, is object, request bool) {
	for kind, m := range was {
		n := child(is, kind)
		if n == nil {
			c.add(place, "media type %s removed", kind)
			continue
		}
		c.schema(place, child(toObject(m), "schema"), child(n, "schema"), request)
	}
}

// resolve follows references within doc.
func resolve(doc, schema object) (object, string) {
	name := ""
	for range 10 {
		ref, ok := schema["$ref"].(string)
		if !ok {
			break
		}
		const prefix = "#/components/schemas/"
		name = ref
		schema = child(child(child(doc, "components"), "schemas"), ref[min(len(prefix), len(ref)):])
	}
	return schema, name
}

// schema compares what is sent if request is true, and else what is answered.
func (c *comparison) schema(place string, was, is object, request bool) {
	was, name := resolve(c.older, was)
	is, _ = resolve(c.newer, is)
	if name != "" {
		key := [2]string{name, fmt.Sprint(request)}
		if c.busy[key] {
			return
		}
		c.busy[key] = true
		defer delete(c.busy, key)
	}
	if was == nil {
		return
	}
	if is == nil {
		c.add(place, "schema removed")
		return
	}
	c.types(place, was, is, request)
	if request {
		c.bounds(place, was, is)
	}
	c.members(place, was, is, request)
	if was["items"] != nil {
		c.schema(place+"[]", child(was, "items"), child(is, "items"), request)
	}
	for _, of := range []string{"oneOf", "anyOf", "allOf"} {
		before, _ := was[of].([]any)
		after, _ := is[of].([]any)
		if len(after) < len(before) && request {
			c.add(place, "%s has fewer alternatives", of)
		}
		for i := range min(len(before), len(after)) {
			c.schema(fmt.Sprintf("%s %s %d", place, of, i), toObject(before[i]), toObject(after[i]), request)
		}
	}
}

// types compares type and enum.
func (c *comparison) types(place string, was, is object, request bool) {
	narrow, wide := texts(is["type"]), texts(was["type"])
	if !request {
		narrow, wide = wide, narrow
	}
	// The wider one of the two has to take everything; no type takes all.
	for _, t := range wide {
		if len(narrow) > 0 && !slices.Contains(narrow, t) && !(t == "integer" && slices.Contains(narrow, "number")) {
			c.add(place, "type was %v, is %v", was["type"], is["type"])
			break
		}
	}
	if len(wide) == 0 && len(narrow) > 0 {
		c.add(place, "type was %v, is %v", was["type"], is["type"])
	}
	if was["format"] != is["format"] && is["format"] != nil && request {
		c.add(place, "format was %v, is %v", was["format"], is["format"])
	}
	if !request {
		return // more values may be answered
	}
	before, after := texts(was["enum"]), texts(is["enum"])
	if len(before) == 0 && len(after) > 0 {
		c.add(place, "takes only some values now")
	}
	for _, v := range before {
		if len(after) > 0 && !slices.Contains(after, v) {
			c.add(place, "value %s removed", v)
		}
	}
}

// texts returns one value or a list as texts.
func texts(v any) []string {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// bounds finds those that are narrower.
func (c *comparison) bounds(place string, was, is object) {
	for _, name := range []string{"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"} {
		a, had := was[name].(float64)
		b, has := is[name].(float64)
		if has && (!had || b > a) {
			c.add(place, "%s was %v, is %v", name, was[name], b)
		}
	}
	for _, name := range []string{"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"} {
		a, had := was[name].(float64)
		b, has := is[name].(float64)
		if has && (!had || b < a) {
			c.add(place, "%s was %v, is %v", name, was[name], b)
		}
	}
	for _, name := range []string{"pattern", "multipleOf", "const"} {
		if is[name] != nil && fmt.Sprint(is[name]) != fmt.Sprint(was[name]) {
			c.add(place, "%s was %v, is %v", name, was[name], is[name])
		}
	}
}

// members compares the properties of objects.
func (c *comparison) members(place string, was, is object, request bool) {
	before, after := child(was, "properties"), child(is, "properties")
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] == nil {
			c.add(place+"."+name, "member removed")
			continue
		}
		c.schema(place+"."+name, toObject(before[name]), toObject(after[name]), request)
	}
	needed, need := texts(was["required"]), texts(is["required"])
	if request {
		for _, name := range need {
			if !slices.Contains(needed, name) {
				c.add(place+"."+name, "member is required now")
			}
		}
		if was["additionalProperties"] != false && is["additionalProperties"] == false && was["properties"] == nil {
			c.add(place, "takes no free members any more")
		}
	} else {
		for _, name := range needed {
			if !slices.Contains(need, name) && after[name] != nil {
				c.add(place+"."+name, "member may be absent now")
			}
		}
	}
}
