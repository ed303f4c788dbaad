package reference_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/reference"
)

const document = `{"info": {"title": "T<b>", "version": "1", "description": "D & E."},
	"components": {"securitySchemes": {"token": {"description": "A token."}}, "schemas": {
		"Make": {"type": "object", "required": ["name", "tags"], "properties": {
			"name": {"type": "string", "description": "<script>alert(1)</script>", "examples": ["o'clock"]},
			"tags": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Tag"}},
			"more": {"type": "integer", "minimum": 1, "maximum": 9}}},
		"Tag": {"type": "string", "enum": ["x", "y"]}, "Loop": {"type": "object", "required": ["loop"], "properties": {"loop": {"$ref": "#/components/schemas/Loop"}}}}},
	"paths": {"/a/{id}": {
		"post": {"operationId": "a.make", "tags": ["things"], "summary": "Make one", "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Make"}}}},
			"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"201": {"description": "Made."}}},
		"delete": {"operationId": "a.delete", "responses": {"default": {"description": "Any.", "content": {"application/json": {"schema": {"oneOf": [{"$ref": "#/components/schemas/Tag"}, {"$ref": "#/components/schemas/Loop"}]}}}}}},
		"put": {"operationId": "a.loop", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loop"}}}}}}}}`

func TestPage(t *testing.T) {
	html, err := reference.Page([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	page := string(html)
	for _, want := range []string{
		"T&lt;b&gt; API", "D &amp; E.", "A token.", `<section id="a.make">`, `<h2 id="tag-things">`, `<h2 id="tag-other">`,
		"POST /a/{id}", "<strong>Make one.</strong>", "&lt;script&gt;alert(1)&lt;/script&gt;", `<a href="#schema-Tag">array of Tag</a>`,
		"integer, from 1, up to 9", "string: x, y", "<td>201</td><td>Made.</td>", `<a href="#schema-Tag">Tag</a> or <a href="#schema-Loop">Loop</a>`,
		`&#34;name&#34;:&#34;o&#39;\&#39;&#39;clock&#34;`, "-X DELETE",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page has a script, or something the template refused")
	}
	for _, bad := range []string{"", "[]", "{"} {
		if _, err := reference.Page([]byte(bad)); err == nil {
			t.Errorf("Page of %q: got no error", bad)
		}
	}
}

// The only style is the one that the policy names.
func TestPolicy(t *testing.T) {
	p := reference.Policy()
	html, err := reference.Page([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(html), "<style>")
	style, _, _ := strings.Cut(after, "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; style == "" || strings.Count(string(html), "<style") != 1 || !strings.Contains(p, want) {
		t.Errorf("got policy %s, want %s in it", p, want)
	}
	if !strings.HasPrefix(p, "default-src 'none'; style-src 'sha256-") || strings.Contains(p, "unsafe") || strings.Contains(p, "http") {
		t.Errorf("got policy %s", p)
	}
}
