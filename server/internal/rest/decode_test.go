package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/rest"
)

func ptr(s string) *string { return &s }

func TestDecode(t *testing.T) {
	long := strings.Repeat("abcdefgh", 5)
	tests := []struct {
		name  string
		data  string
		want  rest.Message
		items []rest.Message
	}{
		{"Text", `{"text":"hello"}`, rest.Message{Text: ptr("hello")}, nil},
		{"EmptyObject", `{}`, rest.Message{}, nil},
		{"EmptyTextIsNotAbsent", `{"text":""}`, rest.Message{Text: ptr("")}, nil},
		{"NullIsAbsent", `{"text":null,"message":"eA=="}`, rest.Message{Message: ptr("eA==")}, nil},
		{"BlanksEverywhere", " \t\r\n{ \"text\" : \"a\" , \"encoding\" : \"hex\" } \n", rest.Message{Text: ptr("a"), Encoding: ptr("hex")}, nil},
		{"EveryEscape", `{"text":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac"}`, rest.Message{Text: ptr("\"\\/\b\f\n\r\tAé€")}, nil},
		{"SurrogatePair", `{"text":"\ud83d\ude00"}`, rest.Message{Text: ptr("😀")}, nil},
		{"EscapedNulByte", `{"text":"\u0000"}`, rest.Message{Text: ptr("\x00")}, nil},
		{"RawUTF8AndEscapes", `{"text":"é\n😀\\ü"}`, rest.Message{Text: ptr("é\n😀\\ü")}, nil},
		{"EscapedQuoteBeforeTheEnd", `{"text":"` + long + `\""}`, rest.Message{Text: ptr(long + `"`)}, nil},
		{"DeleteCharacter", "{\"text\":\"a\x7fb\"}", rest.Message{Text: ptr("a\x7fb")}, nil},
		{"EscapedName", `{"te\u0078t":"a"}`, rest.Message{Text: ptr("a")}, nil},
		{"LongText", `{"text":"` + long + `"}`, rest.Message{Text: ptr(long)}, nil},
		{"Items", `{"encoding":"base64","items":[{"text":"a"},{"message":"Yg=="}]}`,
			rest.Message{Encoding: ptr("base64")}, []rest.Message{{Text: ptr("a")}, {Message: ptr("Yg==")}}},
		{"NoItems", `{"items":[]}`, rest.Message{}, []rest.Message{}},
		{"Metadata", `{"text":"a","metadata":{"environment":"prod","source":null,"classes":["pii","b\u0061"],"labels":{"team":"r\"ed"},"target":"t","resource":"r"}}`,
			rest.Message{Text: ptr("a"), Metadata: &api.Metadata{
				Environment: "prod", Target: "t", Resource: "r", Classes: []string{"pii", "ba"}, Labels: map[string]string{"team": `r"ed`},
			}}, nil},
		{"EmptyMetadata", `{"metadata": { } }`, rest.Message{Metadata: &api.Metadata{}}, nil},
		{"NullMetadata", `{"metadata":null,"bind_metadata":null}`, rest.Message{}, nil},
		{"BindMetadata", ` { "bind_metadata" : true , "text" : "a" } `, rest.Message{Text: ptr("a"), Bind: true}, nil},
		{"PurposeAndContext", `{"purpose":"api","context":"c"}`, rest.Message{Purpose: ptr("api"), Context: ptr("c")}, nil},
		{"MetadataOfAnItem", `{"metadata":{"source":"s"},"items":[{"metadata":{"classes":[]}},{"text":"a"}]}`,
			rest.Message{Metadata: &api.Metadata{Source: "s"}}, []rest.Message{{Metadata: &api.Metadata{}}, {Text: ptr("a")}}},
		{"VerifyMembers", `{"text":"a","tag":"00","signature":"x"}`, rest.Message{Text: ptr("a"), Tag: ptr("00"), Signature: ptr("x")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, items, isBatch, err := rest.DecodeVerify([]byte(tt.data), 10)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if isBatch != (tt.items != nil) {
				t.Errorf("is a batch: got %v, want %v", isBatch, tt.items != nil)
			}
			if diff := cmp.Diff(tt.items, items); diff != "" && (len(tt.items) > 0 || len(items) > 0) {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

// TestA05 refuses what is malformed, with its place and never with a panic.
func TestA05(t *testing.T) {
	tests := []struct {
		name     string
		data     string
		status   int
		location string
		detail   string
	}{
		{"Empty", ``, 400, "body", "ends too early"},
		{"Null", `null`, 422, "body", "got null at byte 0, want an object"},
		{"Array", `[]`, 422, "body", "got an array at byte 0, want an object"},
		{"Number", `1`, 422, "body", "got a number at byte 0, want an object"},
		{"ByteOrderMark", "\ufeff{}", 400, "body", "bad JSON at byte 0"},
		{"NotClosed", `{"text":"a"`, 400, "body", "bad JSON at byte 11"},
		{"StringNotClosed", `{"text":"a`, 400, "body", "does not end"},
		{"EscapeAtTheEnd", `{"text":"a\`, 400, "body", "does not end"},
		{"QuoteEscapedAtTheEnd", `{"text":"a\"`, 400, "body", "does not end"},
		{"SecondValue", `{} {}`, 400, "body", "bad JSON at byte 3"},
		{"TrailingComma", `{"text":"a",}`, 400, "body", "no name of a member"},
		{"NoColon", `{"text" "a"}`, 400, "body", "no colon"},
		{"NoComma", `{"text":"a" "tag":"b"}`, 400, "body", "no comma"},
		{"NameWithoutQuotes", `{text:"a"}`, 400, "body", "no name of a member"},
		{"UnknownEscape", `{"text":"\x41"}`, 400, "body", "unknown escape"},
		{"ShortUnicodeEscape", `{"text":"\u12"}`, 400, "body", "without four hex digits"},
		{"SignInUnicodeEscape", `{"text":"\u+123"}`, 400, "body", "without four hex digits"},
		{"ControlCharacter", "{\"text\":\"a\nb\"}", 400, "body", "control character"},
		{"NulCharacter", "{\"text\":\"a\x00b\"}", 400, "body", "control character"},
		{"NotUTF8", "{\"text\":\"a\xff\"}", 400, "body.text", "not UTF-8 at byte 10"},
		{"EncodedSurrogate", "{\"text\":\"\xed\xa0\x80\"}", 400, "body.text", "not UTF-8"},
		{"OverlongUTF8", "{\"text\":\"\xc0\xaf\"}", 400, "body.text", "not UTF-8"},
		{"HighSurrogateAlone", `{"text":"\ud83d"}`, 400, "body.text", "half of a surrogate pair at byte 9"},
		{"LowSurrogateAlone", `{"text":"\ude00"}`, 400, "body.text", "half of a surrogate pair"},
		{"HighSurrogateBeforeOther", `{"text":"\ud83d\u0041"}`, 400, "body.text", "half of a surrogate pair"},
		{"Twice", `{"text":"a","text":"b"}`, 400, "body.text", "stands twice, again at byte 12"},
		{"TwiceWithNull", `{"text":null,"text":"b"}`, 400, "body.text", "stands twice"},
		{"TwiceThroughAnEscape", `{"text":"a","\u0074ext":"b"}`, 400, "body.text", "stands twice"},
		{"ItemsTwice", `{"items":[],"items":[]}`, 400, "body.items", "stands twice"},
		{"UnknownName", `{"text":"a","key":"b"}`, 422, "body", "unknown member at byte 12"},
		{"OtherCase", `{"Text":"a"}`, 422, "body", "unknown member at byte 1"},
		{"NumberForText", `{"text":5}`, 422, "body.text", "got a number at byte 8, want a string"},
		{"ObjectForText", `{"text":{}}`, 422, "body.text", "got an object"},
		{"BooleanForTag", `{"tag":true}`, 422, "body.tag", "got a boolean"},
		{"ObjectForItems", `{"items":{}}`, 422, "body.items", "got an object at byte 9, want an array"},
		{"NullItem", `{"items":[null]}`, 422, "body.items[0]", "got null"},
		{"TextItem", `{"items":[{},"a"]}`, 422, "body.items[1]", "got a string"},
		{"ItemsInItems", `{"items":[{"items":[]}]}`, 422, "body.items[0]", "unknown member"},
		{"TwiceInAnItem", `{"items":[{},{"tag":"a","tag":"b"}]}`, 400, "body.items[1].tag", "stands twice"},
		{"NotUTF8InAnItem", "{\"items\":[{\"text\":\"\xff\"}]}", 400, "body.items[0].text", "not UTF-8"},
		{"ItemsNotClosed", `{"items":[{}`, 400, "body", "no comma and no ] after an item"},
		{"ItemsWithTrailingComma", `{"items":[{},]}`, 400, "body.items[1]", "bad JSON"},
		{"NotQuiteNull", `{"text":nul}`, 400, "body", "not a JSON value"},
		{"TextForMetadata", `{"metadata":"a"}`, 422, "body.metadata", "got a string at byte 12, want an object"},
		{"UnknownMetadata", `{"metadata":{"env":"a"}}`, 422, "body.metadata", "unknown member before byte 19"},
		{"MetadataTwice", `{"metadata":{"source":"a","source":"b"}}`, 400, "body.metadata", "stands twice"},
		{"MetadataNumber", `{"metadata":{"source":1}}`, 422, "body.metadata.source", "got a number"},
		{"MetadataNotClosed", `{"metadata":{"source":"a"`, 400, "body", "no comma and no }"},
		{"MetadataTrailingComma", `{"metadata":{"source":"a",}}`, 400, "body", "no name of a member"},
		{"MetadataNoColon", `{"metadata":{"source" "a"}}`, 400, "body", "no colon"},
		{"MetadataNotUTF8", "{\"metadata\":{\"source\":\"\xff\"}}", 400, "body.metadata.source", "not UTF-8"},
		{"MetadataTooLong", `{"metadata":{"source":"` + strings.Repeat("a", 257) + `"}}`, 422, "body.metadata", "source: got 257 bytes"},
		{"MetadataControl", `{"metadata":{"source":"a\u0000"}}`, 422, "body.metadata", "source: want UTF-8 without control"},
		{"ClassesObject", `{"metadata":{"classes":{}}}`, 422, "body.metadata.classes", "got an object"},
		{"ClassNull", `{"metadata":{"classes":[null]}}`, 422, "body.metadata.classes", "got null"},
		{"ClassEmpty", `{"metadata":{"classes":[""]}}`, 422, "body.metadata", "classes[0]: got 0 bytes"},
		{"ClassTwice", `{"metadata":{"classes":["a","a"]}}`, 422, "body.metadata", "classes[1]: stands twice"},
		{"ClassesTooMany", `{"metadata":{"classes":[` + strings.Repeat(`"a",`, 32) + `"b"]}}`, 422, "body.metadata.classes", "more than 32"},
		{"ClassesNotClosed", `{"metadata":{"classes":["a"`, 400, "body", "no comma and no ]"},
		{"LabelNumber", `{"metadata":{"labels":{"a":1}}}`, 422, "body.metadata.labels", "got a number"},
		{"LabelNull", `{"metadata":{"labels":{"a":null}}}`, 422, "body.metadata.labels", "got null"},
		{"LabelTwice", `{"metadata":{"labels":{"a":"1","a":"2"}}}`, 400, "body.metadata.labels", "stands twice"},
		{"LabelWithoutName", `{"metadata":{"labels":{"":"1"}}}`, 422, "body.metadata", "labels, a name: got 0 bytes"},
		{"MetadataInAnItem", `{"items":[{},{"metadata":{"source":1}}]}`, 422, "body.items[1].metadata.source", "got a number"},
		{"BindNumber", `{"bind_metadata":1}`, 422, "body.bind_metadata", "got a number at byte 17, want a boolean"},
		{"BindInAnItem", `{"items":[{"bind_metadata":true}]}`, 422, "body.items[0]", "unknown member"},
		{"ItemsOverTheLimit", `{"items":[{},{},{},{}]}`, 413, "body.items", "more than 3 items"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := rest.DecodeVerify([]byte(tt.data), 3)
			if err == nil {
				t.Fatal("got no error")
			}
			status, location := rest.StatusOf(err)
			if status != tt.status || location != tt.location || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("got %d at %s: %v\nwant %d at %s: %s", status, location, err, tt.status, tt.location, tt.detail)
			}
		})
	}
}

func TestDecodeKnowsTheMembersOfItsOperation(t *testing.T) {
	for _, data := range []string{`{"text":"a","tag":"00"}`, `{"items":[{"signature":"x"}]}`} {
		if _, _, _, err := rest.DecodeSign([]byte(data), 3); err == nil {
			t.Errorf("sign takes %s", data)
		}
		if _, _, _, err := rest.DecodeVerify([]byte(data), 3); err != nil {
			t.Errorf("verify refuses %s: %v", data, err)
		}
	}
}

// reference decodes with encoding/json, which forgives more than we do.
type reference struct {
	referenceMessage
	Items   *[]referenceMessage `json:"items"`
	Purpose *string             `json:"purpose"`
	Context *string             `json:"context"`
	Bind    *bool               `json:"bind_metadata"`
}

type referenceMessage struct {
	Message   *string `json:"message"`
	Text      *string `json:"text"`
	Tag       *string `json:"tag"`
	Signature *string `json:"signature"`
	Encoding  *string `json:"encoding"`

	Metadata *api.Metadata `json:"metadata"`
}

func decodeReference(data []byte) (reference, error) {
	var r reference
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if _, err := d.Token(); err != io.EOF {
		return r, fmt.Errorf("more follows")
	}
	messages := []*referenceMessage{&r.referenceMessage}
	if r.Items != nil {
		for i := range *r.Items {
			messages = append(messages, &(*r.Items)[i])
		}
	}
	for _, m := range messages {
		if err := m.Metadata.Check(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// forgiven reports whether data, which encoding/json takes, has something that
// we refuse on purpose. It looks at the tokens, not at our decoder.
func forgiven(data []byte, maxItems int) bool {
	if !utf8.Valid(data) || rest.CheckJSON(data) != nil { // surrogates, names that stand twice
		return true
	}
	var body any
	if json.Unmarshal(data, &body) != nil {
		return false
	}
	whole, ok := body.(map[string]any)
	if !ok || respelled(whole, append(messageNames, "items", "purpose", "context", "bind_metadata")) {
		return true // null, or another spelling of a name
	}
	items, _ := whole["items"].([]any)
	if len(items) > maxItems {
		return true
	}
	for _, m := range append(items, any(whole)) {
		m, ok := m.(map[string]any)
		if !ok || respelled(m, messageNames) || forgivenMetadata(m["metadata"]) {
			return true
		}
	}
	return false
}

var messageNames = []string{"message", "text", "tag", "signature", "encoding", "metadata"}

// respelled reports whether a name is there in another spelling.
func respelled(object map[string]any, names []string) bool {
	for got := range object {
		for _, name := range names {
			if got != name && strings.EqualFold(got, name) {
				return true
			}
		}
	}
	return false
}

// forgivenMetadata is forgiven for metadata: null in the place of a text.
func forgivenMetadata(metadata any) bool {
	m, _ := metadata.(map[string]any)
	if respelled(m, []string{"environment", "source", "target", "resource", "classes", "labels"}) {
		return true
	}
	classes, _ := m["classes"].([]any)
	labels, _ := m["labels"].(map[string]any)
	for _, v := range labels {
		classes = append(classes, v)
	}
	return slices.Contains(classes, nil)
}

func (r referenceMessage) message() rest.Message {
	return rest.Message{Message: r.Message, Text: r.Text, Tag: r.Tag, Signature: r.Signature, Encoding: r.Encoding, Metadata: r.Metadata}
}

func (r reference) message() rest.Message {
	m := r.referenceMessage.message()
	m.Purpose, m.Context, m.Bind = r.Purpose, r.Context, r.Bind != nil && *r.Bind
	return m
}

// FuzzDecode holds the decoder equal to encoding/json: what it takes has the
// same meaning there, and what only it refuses has a reason of the list above.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"text":"hello","encoding":"hex"}`, `{"message":"aGk=","tag":"00","signature":"x"}`,
		`{"items":[{"text":"a"},{"message":null},null]}`, `{"text":"\ud83d\ude00\u0000\n"}`, `{"text":"\ud83d"}`,
		`{"Text":"a"}`, `{"text":"a","text":"b"}`, `{"items":null,"text":"a"}`, "{\"text\":\"\xff\"}", `{"text":"a"}x`, `{"items":[]}`,
		`{"metadata":{"environment":"e","source":"s","target":"t","resource":"r","classes":["a","b"],"labels":{"a":"b"}},"bind_metadata":true}`,
		`{"items":[{"metadata":{"classes":[null],"labels":{"a":null}}}],"bind_metadata":false,"purpose":"a","context":"b"}`, `{"metadata":{"Source":"a"}}`,
		`{"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\"}`, `{"te\u0078t":""}`, `{"text":1e9}`, `{"items":[[]]}`,
	} {
		f.Add([]byte(seed))
	}
	const maxItems = 8
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := decodeReference(data)
		got, items, isBatch, err := rest.DecodeVerify(bytes.Clone(data), maxItems)
		switch {
		case err != nil && wantErr != nil:
			return
		case err != nil:
			if !forgiven(data, maxItems) {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		case wantErr != nil:
			t.Fatalf("takes what encoding/json refuses: %v", wantErr)
		}
		if diff := cmp.Diff(want.message(), got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("message (-encoding/json +ours):\n%s", diff)
		}
		if isBatch != (want.Items != nil) {
			t.Fatalf("is a batch: got %v", isBatch)
		}
		if want.Items == nil {
			return
		}
		if len(items) != len(*want.Items) {
			t.Fatalf("got %d items, want %d", len(items), len(*want.Items))
		}
		for i, m := range *want.Items {
			if diff := cmp.Diff(m.message(), items[i], cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("item %d (-encoding/json +ours):\n%s", i, diff)
			}
		}
	})
}

// TestCheckJSON refuses for the control plane what the decoder of sign refuses.
func TestCheckJSON(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"Syntax", `{"name":}`, "bad JSON at byte 9"},
		{"Truncated", `{"name":`, "bad JSON at byte 8"},
		{"SecondValue", `{} 1`, "bad JSON at byte 4"},
		{"Twice", `{"name":"a","name":"b"}`, "body: a member stands twice"},
		{"TwiceDeep", `{"request":{"headers":{"A":["1"],"A":["2"]}}}`, "body.request.headers: a member stands twice"},
		{"TwiceInAList", `{"a":[{},{"b":1,"b":2}]}`, "body.a[1]: a member stands twice"},
		{"TwiceThroughAnEscape", `{"name":"a","\u006eame":"b"}`, "stands twice"},
		{"NotUTF8", "{\"name\":\"\xff\"}", "not UTF-8"},
		{"LoneSurrogate", `{"name":"\\\udc00"}`, "half of a surrogate pair at byte 11"},
		{"HighThenText", `{"name":"\ud800x"}`, "half of a surrogate pair at byte 9"},
		{"TooDeep", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "bad JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := rest.CheckJSON([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for _, data := range []string{`{}`, `{"a":"\\ud800"}`, `{"a":"\ud83d\ude00"}`, `{"a":{"b":1},"b":{"b":1}}`, `[1,null,"x"]`} {
		if err := rest.CheckJSON([]byte(data)); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}
