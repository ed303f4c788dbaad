package canon_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

const formType = "multipart/form-data; boundary=b"

// part returns a part of a form with the boundary b.
func part(disposition, content string) string {
	return "--b\r\nContent-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n"
}

// field1 is a plain part with the name a and the content 1.
var field1 = part(`form-data; name="a"`, "1")

func TestMultipartField(t *testing.T) {
	tests := []struct {
		name        string
		contentType string
		body        string
		want        string
		found       bool
	}{
		{"One", formType, field1 + "--b--\r\n", "1", true},
		{"NoLineEndAtTheEnd", formType, field1 + "--b--", "1", true},
		{"Second", formType, part(`form-data; name="x"`, "0") + field1 + "--b--\r\n", "1", true},
		{"NotThere", formType, part(`form-data; name="x"`, "1") + "--b--", "", false},
		{"NameInOtherCase", formType, part(`form-data; name="A"`, "1") + "--b--", "", false},
		{"NoParts", formType, "--b--\r\n", "", false},
		{"EmptyContent", formType, part(`form-data; name="a"`, "") + "--b--", "", true},
		{"LineEndsInContent", formType, part(`form-data; name="a"`, "\r\n1\r\n\r\n2\n") + "--b--", "\r\n1\r\n\r\n2\n", true},
		{"HyphensInContent", formType, part(`form-data; name="a"`, "x--b\r\n-- b") + "--b--", "x--b\r\n-- b", true},
		{"NotUTF8", formType, part(`form-data; name="a"`, "\xff\x00") + "--b--", "\xff\x00", true},
		{"NoBlanks", formType, part(`form-data;name="a"`, "1") + "--b--", "1", true},
		{"ManyBlanks", formType, part("form-data \t; \tname=\"a\" \t", "1") + "--b--", "1", true},
		{"NameAsToken", formType, part(`form-data; name=a`, "1") + "--b--", "1", true},
		{"CaseOfKeywords", formType, strings.Replace(part(`FORM-DATA; NAME="a"`, "1"), "Content-Disposition", "content-DISPOSITION", 1) + "--b--", "1", true},
		{"FileName", formType, part(`form-data; name="a"; filename="a;b c.txt"`, "1") + "--b--", "1", true},
		{"FileNameFirst", formType, part(`form-data; filename="name=x"; name="a"`, "1") + "--b--", "1", true},
		{"FileNameExtended", formType, part(`form-data; name="a"; filename*=UTF-8''x%20y`, "1") + "--b--", "1", true},
		{"OtherHeaders", formType, "--b\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"a\"\r\nX-Y: z\r\n\r\n1\r\n--b--", "1", true},
		{"PlainTransferEncoding", formType, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n1\r\n--b--", "1", true},
		{"BoundaryInQuotes", `multipart/form-data; boundary="b"`, field1 + "--b--", "1", true},
		{"BoundaryBehindOthers", `multipart/form-data; charset=utf-8; boundary=b`, field1 + "--b--", "1", true},
		{"BoundaryAsPartOfOther", `multipart/form-data; x="; boundary=c"; boundary=b`, field1 + "--b--", "1", true},
		{"NameThatEndsInBoundary", `multipart/form-data; xboundary=c; boundary=b`, field1 + "--b--", "1", true},
		{"BoundaryInOtherCase", `multipart/form-data; Boundary=b`, field1 + "--b--", "1", true},
		{"LongestBoundary", "multipart/form-data; boundary=" + strings.Repeat("b", 70), strings.ReplaceAll(field1+"--b--", "--b", "--"+strings.Repeat("b", 70)), "1", true},
		{"MostParts", formType, strings.Repeat(part(`form-data; name="x"`, ""), canon.MaxFields-1) + field1 + "--b--", "1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, end, found, err := canon.MultipartField(tt.contentType, []byte(tt.body), "a")
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.body[start:end]; got != tt.want || found != tt.found {
				t.Errorf("MultipartField = %q, %v, want %q, %v", got, found, tt.want, tt.found)
			}
		})
	}
}

// TestMultipartFieldRefused has what parsers read in different ways, so that a
// verifier and the program behind it could see different fields.
func TestMultipartFieldRefused(t *testing.T) {
	whole := field1 + "--b--\r\n"
	tests := []struct{ name, contentType, body string }{
		{"NoContentType", "", whole},
		{"NoBoundary", "multipart/form-data", whole},
		{"EmptyBoundary", "multipart/form-data; boundary=", whole},
		{"EmptyQuotedBoundary", `multipart/form-data; boundary=""`, whole},
		{"LongBoundary", "multipart/form-data; boundary=" + strings.Repeat("b", 71), strings.ReplaceAll(whole, "--b", "--"+strings.Repeat("b", 71))},
		{"TwoBoundaries", "multipart/form-data; boundary=b; boundary=c", whole},
		{"SameBoundaryTwice", "multipart/form-data; boundary=b; BOUNDARY=b", whole},
		{"ExtendedBoundary", "multipart/form-data; boundary=b; boundary*=UTF-8''c", whole},
		{"OpenQuote", `multipart/form-data; boundary="b`, whole},
		{"EscapeInQuotes", `multipart/form-data; boundary="\b"`, whole},
		{"TextBehindQuotes", `multipart/form-data; boundary="b"c`, whole},
		{"BlankInParameter", "multipart/form-data; boundary = b", whole},
		{"CommaInParameters", "multipart/form-data, boundary=b", whole},
		{"SemicolonAtTheEnd", "multipart/form-data; boundary=b;", whole},

		{"EmptyBody", formType, ""},
		{"OtherBoundary", formType, strings.ReplaceAll(whole, "--b", "--c")},
		{"LongerBoundary", formType, strings.ReplaceAll(whole, "--b", "--bc")},
		{"Preamble", formType, "x\r\n" + whole},
		{"LineEndBeforeBoundary", formType, "\r\n" + whole},
		{"NotClosed", formType, field1},
		{"NotClosedAtBoundary", formType, field1 + "--b"},
		{"NotClosedWithLineEnd", formType, field1 + "--b\r\n"},
		{"ClosedInHalf", formType, field1 + "--b-"},
		{"Epilogue", formType, whole + "x"},
		{"PartBehindTheEnd", formType, whole + field1},
		{"TextBehindClosing", formType, field1 + "--b--x"},
		{"BlankBehindBoundary", formType, strings.Replace(whole, "--b\r\n", "--b \r\n", 1)},
		{"LineFeedOnly", formType, strings.ReplaceAll(whole, "\r\n", "\n")},
		{"LineFeedInHeader", formType, "--b\r\nX: y\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"CarriageReturnInHeader", formType, "--b\r\nX: y\rz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"NoHeader", formType, "--b\r\n\r\n1\r\n--b--"},
		{"NoBlankLine", formType, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--"},
		{"BlankLineIsOfTheBoundary", formType, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b--"},
		{"FoldedLine", formType, "--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--b--"},
		{"BlankBeforeColon", formType, "--b\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"LineWithoutColon", formType, "--b\r\nX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"HeaderNameOfTwoWords", formType, "--b\r\nX Y: z\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"NoHeaderName", formType, "--b\r\n: z\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"},
		{"NoSemicolonBetween", formType, part(`form-data; name="a" x=y`, "1") + "--b--"},
		{"ParameterWithoutValue", formType, part(`form-data; name="a"; flag`, "1") + "--b--"},
		{"ParameterWithoutName", formType, part(`form-data; name="a"; =x`, "1") + "--b--"},
		{"EmptyToken", formType, part(`form-data; name="a"; x=`, "1") + "--b--"},
		{"KindMissing", formType, part(`; name="a"`, "1") + "--b--"},
		{"NoColon", formType, "--b\r\nContent-Disposition\r\n\r\n1\r\n--b--"},
		{"TwoDispositions", formType, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\ncontent-disposition: form-data; name=\"b\"\r\n\r\n1\r\n--b--"},
		{"NoDisposition", formType, "--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--"},
		{"Attachment", formType, part(`attachment; name="a"`, "1") + "--b--"},
		{"NoName", formType, part(`form-data`, "1") + "--b--"},
		{"NoNameButFileName", formType, part(`form-data; filename="a"`, "1") + "--b--"},
		{"TwoNames", formType, part(`form-data; name="a"; name="b"`, "1") + "--b--"},
		{"TwoNamesInOtherCase", formType, part(`form-data; name="a"; Name=b`, "1") + "--b--"},
		{"ExtendedName", formType, part(`form-data; name="a"; name*=UTF-8''b`, "1") + "--b--"},
		{"EscapedName", formType, part(`form-data; name="\a"`, "1") + "--b--"},
		{"EscapedQuoteInFileName", formType, part(`form-data; filename="\"; name=\"a"; name="b"`, "1") + "--b--"},
		{"OpenName", formType, part(`form-data; name="a`, "1") + "--b--"},
		{"NameOfTwoWords", formType, part(`form-data; name=a b`, "1") + "--b--"},
		{"CommaForSemicolon", formType, part(`form-data, name="a"`, "1") + "--b--"},
		{"QuotedPrintable", formType, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=31\r\n--b--"},
		{"Base64", formType, "--b\r\nContent-Transfer-Encoding: BASE64\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nMQ==\r\n--b--"},
		{"Duplicate", formType, field1 + field1 + "--b--"},
		{"DuplicateAsToken", formType, field1 + part(`form-data; name=a`, "2") + "--b--"},
		{"BadPartElsewhere", formType, field1 + part(`form-data; name="x`, "2") + "--b--"},
		{"TooManyParts", formType, strings.Repeat(part(`form-data; name="x"`, ""), canon.MaxFields) + field1 + "--b--"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, end, found, err := canon.MultipartField(tt.contentType, []byte(tt.body), "a")
			if !errors.Is(err, canon.ErrMultipart) || found || start != 0 || end != 0 {
				t.Errorf("MultipartField = %d, %d, %v, %v, want %v", start, end, found, err, canon.ErrMultipart)
			}
		})
	}
}

// readForm returns the contents of all fields called name, as mime/multipart
// reads them.
func readForm(contentType string, body []byte, name string) (contents []string, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return contents, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		if p.FormName() == name {
			contents = append(contents, string(content))
		}
	}
}

// FuzzMultipart: what is read is what mime/multipart reads.
func FuzzMultipart(f *testing.F) {
	f.Add(formType, []byte(field1+"--b--\r\n"), "a")
	f.Add(formType, []byte(part(`form-data; filename="x;y"; name=x`, "0")+field1+"--b--"), "x")
	f.Add(`multipart/form-data; x="; boundary=c"; boundary="b"`, []byte("--b--"), "")
	f.Fuzz(func(t *testing.T, contentType string, body []byte, name string) {
		start, end, found, err := canon.MultipartField(contentType, body, name)
		if err != nil {
			if !errors.Is(err, canon.ErrMultipart) {
				t.Fatalf("error %v, want %v", err, canon.ErrMultipart)
			}
			return
		}
		contents, err := readForm(contentType, body, name)
		if err != nil {
			return // stricter than this package, for instance on characters of header values
		}
		switch {
		case found && (len(contents) != 1 || contents[0] != string(body[start:end])):
			t.Errorf("%q in %q (%q): got %q, mime/multipart says %q", name, body, contentType, body[start:end], contents)
		case !found && len(contents) != 0 && name != "":
			t.Errorf("%q in %q (%q): not found, mime/multipart says %q", name, body, contentType, contents)
		}
	})
}

func ExampleMultipartField() {
	body := "--x\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"event\": 1}\r\n--x--\r\n"
	start, end, found, err := canon.MultipartField("multipart/form-data; boundary=x", []byte(body), "json")
	fmt.Println(body[start:end], found, err)
	// Output: {"event": 1} true <nil>
}
