package source_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

func TestCheck(t *testing.T) {
	good := source.Ref{Provider: "p", Name: "a/b"}
	tests := []struct {
		name   string
		change func(*source.Ref)
		want   string // in the error; empty means none
	}{
		{"Good", func(*source.Ref) {}, ""},
		{"ARN", func(r *source.Ref) { r.Name = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a/b-AbCdEf" }, ""},
		{"LongestName", func(r *source.Ref) { r.Name = strings.Repeat("a", source.MaxName) }, ""},
		{"LongestField", func(r *source.Ref) { r.Field = strings.Repeat("a", source.MaxField) }, ""},
		{"Raw", func(r *source.Ref) { r.Encoding = source.Raw }, ""},
		{"NoProvider", func(r *source.Ref) { r.Provider = "" }, "source.provider"},
		{"NoName", func(r *source.Ref) { r.Name = "" }, "source.name"},
		{"TooLongName", func(r *source.Ref) { r.Name = strings.Repeat("a", source.MaxName+1) }, "got 513 bytes"},
		{"LeadsUp", func(r *source.Ref) { r.Name = "a/../b" }, "source.name"},
		{"Dot", func(r *source.Ref) { r.Name = "./a" }, "source.name"},
		{"SlashFirst", func(r *source.Ref) { r.Name = "/a" }, "source.name"},
		{"SlashLast", func(r *source.Ref) { r.Name = "a/" }, "source.name"},
		{"TwoSlashes", func(r *source.Ref) { r.Name = "a//b" }, "source.name"},
		{"Percent", func(r *source.Ref) { r.Name = "a%2e" }, "source.name"},
		{"Query", func(r *source.Ref) { r.Name = "a?version=1" }, "source.name"},
		{"Blank", func(r *source.Ref) { r.Name = "a b" }, "source.name"},
		{"NotASCII", func(r *source.Ref) { r.Name = "ä" }, "source.name"},
		{"TooLongField", func(r *source.Ref) { r.Field = strings.Repeat("a", source.MaxField+1) }, "source.field"},
		{"ControlInField", func(r *source.Ref) { r.Field = "a\n" }, "source.field"},
		{"FieldNotUTF8", func(r *source.Ref) { r.Field = "\xff" }, "source.field"},
		{"UnknownEncoding", func(r *source.Ref) { r.Encoding = "base64url" }, "source.encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			tt.change(&r)
			err := r.Check()
			if tt.want == "" && err != nil {
				t.Errorf("Check: got %v", err)
			}
			if tt.want != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check: got %v, want kind %v about %q", err, fault.Invalid, tt.want)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	tests := []struct {
		name            string
		field, encoding string
		payload         string
		fields          bool
		want            string
		refusal         string // in the error
	}{
		{name: "Raw", payload: "top secret", want: "top secret"},
		{name: "RawKeepsLineFeed", encoding: source.Raw, payload: "s\n", want: "s\n"},
		{name: "RawKeepsBytes", payload: "\x00\xff", want: "\x00\xff"},
		{name: "Base64", encoding: source.Base64, payload: "a2V5", want: "key"},
		{name: "Base64LineFeed", encoding: source.Base64, payload: "a2V5\n", want: "key"},
		{name: "Hex", encoding: source.Hex, payload: "6B6579", want: "key"},
		{name: "HexLineFeed", encoding: source.Hex, payload: "6b6579\n", want: "key"},
		{name: "Field", field: "hmac", payload: `{"user":"u","hmac":"k\u00e9y"}`, want: "kéy"},
		{name: "FieldInBase64", field: "hmac", encoding: source.Base64, payload: `{"hmac":"a2V5"}`, fields: true, want: "key"},
		{name: "FieldWithSlashAndTilde", field: "a/~b", payload: `{"a":{"~b":"no"},"a/~b":"yes"}`, want: "yes"},
		{name: "Largest", payload: strings.Repeat("a", source.MaxPayload), want: strings.Repeat("a", source.MaxPayload)},

		{name: "Empty", refusal: "the secret is empty"},
		{name: "EmptyField", field: "a", payload: `{"a":""}`, refusal: "the secret is empty"},
		{name: "EmptyBase64", encoding: source.Base64, payload: "\n", refusal: "the secret is empty"},
		{name: "TooLarge", payload: strings.Repeat("a", source.MaxPayload+1), refusal: "65537 bytes"},
		{name: "NotBase64", encoding: source.Base64, payload: "TOPSECRET!", refusal: "not base64"},
		{name: "Base64WithoutPadding", encoding: source.Base64, payload: "YQ", refusal: "not base64"},
		{name: "TwoLineFeeds", encoding: source.Base64, payload: "a2V5\n\n", refusal: "not base64"},
		{name: "NotHex", encoding: source.Hex, payload: "TOPSECRET!", refusal: "not hex"},
		{name: "FieldOfText", field: "a", payload: "TOPSECRET!", refusal: "no JSON object"},
		{name: "FieldOfArray", field: "0", payload: `["TOPSECRET!"]`, refusal: "no JSON object"},
		{name: "FieldMissing", field: "b", payload: `{"a":"TOPSECRET!"}`, refusal: `no field "b"`},
		{name: "FieldTwice", field: "a", payload: `{"a":"TOPSECRET!","a":"b"}`, refusal: "once"},
		{name: "FieldIsNumber", field: "a", payload: `{"a":1}`, refusal: "not a text"},
		{name: "FieldIsObject", field: "a", payload: `{"a":{"b":"TOPSECRET!"}}`, refusal: "not a text"},
		{name: "FieldIsNull", field: "a", payload: `{"a":null}`, refusal: "not a text"},
		{name: "FieldNotNamed", payload: `{"a":"TOPSECRET!"}`, fields: true, refusal: "has fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := source.Ref{Provider: "p", Name: "n", Field: tt.field, Encoding: tt.encoding}
			got, err := r.Secret(source.Payload{Bytes: secret.FromString(tt.payload), Fields: tt.fields})
			if tt.refusal == "" {
				if err != nil || string(got.Expose()) != tt.want {
					t.Errorf("Secret: got %q, %v, want %q", got.Expose(), err, tt.want)
				}
				return
			}
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.refusal) {
				t.Errorf("Secret: got %v, want kind %v about %q", err, fault.Invalid, tt.refusal)
			}
			if !got.IsZero() || strings.Contains(err.Error(), "TOPSECRET") {
				t.Errorf("Secret: a refusal gives %d bytes and says %q", got.Len(), err)
			}
		})
	}
}
