package compat_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/compat"
)

const document = `{"paths": {
	"/a": {
		"get": {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
			"responses": {"200": {"headers": {"ETag": {}}, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}, "default": {}}},
		"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}, "text/plain": {}}},
			"responses": {"201": {}}}}},
	"components": {"schemas": {"A": {"type": "object", "required": ["name"], "properties": {
		"name": {"type": "string", "maxLength": 9}, "kind": {"type": "string", "enum": ["x", "y"]},
		"list": {"type": ["array", "null"], "items": {"type": "integer"}}, "self": {"$ref": "#/components/schemas/A"}}}}}}`

func TestBreaks(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string // what of the document is replaced
		want           string // in one of the lines; empty means that nothing breaks
	}{
		{"Same", ``, ``, ``},
		{"NewPath", `"/a": {`, `"/b": {"get": {}}, "/a": {`, ``},
		{"NewMethod", `"get": {`, `"put": {}, "get": {`, ``},
		{"NewMember", `"name": {`, `"more": {"type": "string"}, "name": {`, ``},
		{"NewParameter", `[{"name": "limit"`, `[{"name": "x", "in": "query"}, {"name": "limit"`, ``},
		{"NewMediaType", `"text/plain": {}`, `"text/plain": {}, "text/html": {}`, ``},
		{"NewResponse", `"201": {}`, `"201": {}, "202": {}`, ``},
		{"NewValue", `["x", "y"]`, `["x", "y", "z"]`, ``},
		{"WiderBound", `"maximum": 100`, `"maximum": 101`, ``},
		{"BoundGone", `, "maxLength": 9`, ``, ``},
		{"OtherText", `"default": {}`, `"default": {"description": "x"}`, ``},

		{"PathRemoved", `"/a": {`, `"/b": {`, "/a: removed"},
		{"MethodRemoved", `"post": {`, `"put": {`, "post /a: removed"},
		{"ParameterRemoved", `"name": "limit"`, `"name": "max"`, "get /a query limit: parameter removed"},
		{"ParameterMoved", `"in": "query"`, `"in": "header"`, "get /a query limit: parameter removed"},
		{"ParameterRequired", `"in": "query"`, `"in": "query", "required": true`, "get /a query limit: parameter is required now"},
		{"NewParameterRequired", `[{"name": "limit"`, `[{"name": "x", "in": "query", "required": true}, {"name": "limit"`, "new parameter is required"},
		{"ParameterNarrower", `"maximum": 100`, `"maximum": 99`, "maximum was 100, is 99"},
		{"ParameterType", `"schema": {"type": "integer"`, `"schema": {"type": "boolean"`, "type was integer, is boolean"},
		{"BodyRequired", `"requestBody": {`, `"requestBody": {"required": true, `, "post /a body: is required now"},
		{"MediaTypeRemoved", `, "text/plain": {}`, ``, "media type text/plain removed"},
		{"MemberRemoved", `"kind": {"type": "string", "enum": ["x", "y"]},`, ``, ".kind: member removed"},
		{"MemberRequired", `["name"]`, `["name", "kind"]`, "post /a body.kind: member is required now"},
		{"MemberMayBeAbsent", `"required": ["name"]`, `"required": []`, "get /a 200.name: member may be absent now"},
		{"MemberType", `"name": {"type": "string"`, `"name": {"type": "integer"`, "body.name: type was string, is integer"},
		{"ItemsType", `"items": {"type": "integer"}`, `"items": {"type": "string"}`, ".list[]: type was integer, is string"},
		{"NullRefused", `["array", "null"]`, `"array"`, "body.list: type was [array null], is array"},
		{"NullAnswered", `"name": {"type": "string"`, `"name": {"type": ["string", "null"]`, "200.name: type was string, is [string null]"},
		{"ValueRemoved", `["x", "y"]`, `["x"]`, "body.kind: value y removed"},
		{"ValuesLimited", `"name": {"type": "string"`, `"name": {"enum": ["a"], "type": "string"`, "takes only some values now"},
		{"Shorter", `"maxLength": 9`, `"maxLength": 8`, "maxLength was 9, is 8"},
		{"Pattern", `"maxLength": 9`, `"maxLength": 9, "pattern": "a"`, "pattern was <nil>, is a"},
		{"Minimum", `"maxLength": 9`, `"maxLength": 9, "minLength": 2`, "minLength was <nil>, is 2"},
		{"ResponseRemoved", `"201": {}`, `"200": {}`, "post /a 201: response removed"},
		{"HeaderRemoved", `"ETag": {}`, `"Date": {}`, "header ETag removed"},
		{"SchemaGone", `"A": {"type": "object"`, `"B": {"type": "object"`, "schema removed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.old != "" && !strings.Contains(document, tt.old) {
				t.Fatalf("the document has no %s", tt.old)
			}
			got, err := compat.Breaks([]byte(document), []byte(strings.Replace(document, tt.old, tt.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(got, "\n")
			if (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("got:\n%s\nwant %q in it", all, tt.want)
			}
		})
	}
	for _, bad := range []string{``, `[]`, `{`} {
		if _, err := compat.Breaks([]byte(bad), []byte(document)); err == nil {
			t.Errorf("older %q: got no error", bad)
		}
		if _, err := compat.Breaks([]byte(document), []byte(bad)); err == nil {
			t.Errorf("newer %q: got no error", bad)
		}
	}
}
