package catalogue_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sealwright/sealwright/scheme"
)

// TestSchema validates every preset against schema.json.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file == "schema.json" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSchemaIsComplete checks that schema.json and the types of package scheme
// have the same members, so that neither can be forgotten.
func TestSchemaIsComplete(t *testing.T) {
	data, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
		OneOf      []struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"oneOf"`
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	compare := func(name string, typ reflect.Type, have map[string]json.RawMessage) {
		want := members(typ)
		for m := range want {
			if _, ok := have[m]; !ok {
				t.Errorf("schema.json: %s has no member %q", name, m)
			}
		}
		for m := range have {
			if !want[m] {
				t.Errorf("schema.json: %s has a member %q that the type does not have", name, m)
			}
		}
	}
	compare("definition", reflect.TypeFor[scheme.Definition](), schema.Properties)
	for name, typ := range map[string]reflect.Type{
		"param": reflect.TypeFor[scheme.Param](), "key": reflect.TypeFor[scheme.Key](), "value": reflect.TypeFor[scheme.Value](),
		"list": reflect.TypeFor[scheme.List](), "tag": reflect.TypeFor[scheme.Tag](), "time": reflect.TypeFor[scheme.Time](),
		"nonce": reflect.TypeFor[scheme.Nonce](), "check": reflect.TypeFor[scheme.Check](), "fields": reflect.TypeFor[scheme.FieldsSegment](),
		"headers": reflect.TypeFor[scheme.HeadersSegment](), "request": reflect.TypeFor[scheme.Request](), "challenge": reflect.TypeFor[scheme.Challenge](),
	} {
		compare(name, typ, schema.Defs[name].Properties)
	}
	compare("segment", reflect.TypeFor[scheme.Segment](), schema.Defs["segment"].OneOf[1].Properties)
}

// members returns the names of a struct's JSON members.
func members(typ reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			for m := range members(f.Type) {
				out[m] = true
			}
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out[name] = true
		}
	}
	return out
}
