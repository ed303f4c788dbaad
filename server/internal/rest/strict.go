package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// checkJSON refuses what encoding/json takes although readers may differ about
// it: text that is not UTF-8, half of a surrogate pair, a name that stands
// twice in an object, and a name that is spelled in another case than in shape.
// It also names the place where JSON ends to be JSON.
func checkJSON(data []byte, shape names) error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, &raw); errors.As(err, &syntax) {
		return badJSON("bad JSON at byte %d: %v", syntax.Offset, syntax)
	} else if err != nil {
		return badJSON("bad JSON")
	}
	if !utf8.Valid(data) {
		return badJSON("not UTF-8")
	}
	if at := loneSurrogate(data); at >= 0 {
		return badJSON("half of a surrogate pair at byte %d", at)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return checkNames(d, "body", shape)
}

// names are the members that an object may have, each with the names within
// it; nil for a value whose members are free, such as a map.
type names map[string]names

// namesOf returns the names of a schema. The API has no recursive types.
func namesOf(r huma.Registry, s *huma.Schema) names {
	if s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	if s.Items != nil {
		return namesOf(r, s.Items)
	}
	if s.AdditionalProperties != false {
		return nil
	}
	n := names{}
	for name, property := range s.Properties {
		n[name] = namesOf(r, property)
	}
	return n
}

func badJSON(format string, args ...any) *badBody {
	return &badBody{status: http.StatusBadRequest, location: "body", detail: fmt.Sprintf(format, args...)}
}

// checkNames reads one value. The decoder limits the depth.
func checkNames(d *json.Decoder, location string, shape names) error {
	t, err := d.Token()
	if err != nil {
		return badJSON("bad JSON at byte %d", d.InputOffset())
	}
	switch t {
	case json.Delim('{'):
		err = checkObject(d, location, shape)
	case json.Delim('['):
		for i := 0; err == nil && d.More(); i++ {
			err = checkNames(d, within(location, fmt.Sprintf("[%d]", i)), shape)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := d.Token(); err != nil { // the end
		return badJSON("bad JSON at byte %d", d.InputOffset())
	}
	return nil
}

// maxLocation is the length in bytes of the longest place that an error names.
// Beyond it the place of the value around it stands, so that deep JSON does not
// cost memory for each level's place.
const maxLocation = 256

// within returns the place of a part of the value at location.
func within(location, part string) string {
	if len(location)+len(part) > maxLocation {
		return location
	}
	return location + part
}

func checkObject(d *json.Decoder, location string, shape names) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return badJSON("bad JSON at byte %d", d.InputOffset())
		}
		inner, known := shape[name]
		if shape != nil && !known {
			return invalid(location, "unknown member, before byte %d", d.InputOffset())
		}
		if seen[name] {
			return &badBody{http.StatusBadRequest, location, fmt.Sprintf("a member stands twice, again before byte %d", d.InputOffset())}
		}
		seen[name] = true
		if err := checkNames(d, within(location, "."+name[:min(len(name), 64)]), inner); err != nil {
			return err
		}
	}
	return nil
}

// loneSurrogate returns the offset of an escape sequence for half of a
// surrogate pair in data, which is valid JSON, or -1.
func loneSurrogate(data []byte) int {
	for at := 0; at < len(data); {
		i := bytes.IndexByte(data[at:], '\\')
		if i < 0 {
			return -1
		}
		at += i
		if data[at+1] != 'u' {
			at += 2
			continue
		}
		d := decoder{data: data, pos: at}
		r, _ := d.hex4()
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if bytes.HasPrefix(data[d.pos:], []byte(`\u`)) {
				low, _ = d.hex4()
			}
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return at
			}
		}
		at = d.pos
	}
	return -1
}
