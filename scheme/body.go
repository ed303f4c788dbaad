package scheme

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// maxContent bounds in bytes what a compressed body may decode to.
const maxContent = 8 << 20

// content returns the body after its content coding, gzip or none, was undone.
func content(m *sealwright.Message) ([]byte, error) {
	coding, _, err := header(m, "Content-Encoding")
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(canon.TrimOWS(coding)) {
	case "", "identity":
		return m.Body, nil
	case "gzip":
		return gunzip(m.Body)
	}
	return nil, sealwright.Refusef(sealwright.ErrMalformed, "content coding %q cannot be undone", coding)
}

// gunzip returns what the one gzip member in body holds.
func gunzip(body []byte) ([]byte, error) {
	bad := func(err error) ([]byte, error) {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "body is not gzip: %v", err)
	}
	rest := bytes.NewReader(body)
	z, err := gzip.NewReader(rest)
	if err != nil {
		return bad(err)
	}
	z.Multistream(false)
	out, err := io.ReadAll(io.LimitReader(z, maxContent+1))
	switch {
	case err != nil:
		return bad(err)
	case len(out) > maxContent:
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "body decodes to more than %d bytes", maxContent)
	case rest.Len() > 0:
		return bad(errors.New("something follows the compressed data"))
	}
	return out, nil
}

// bodyFields returns the fields of a body of flat XML or of lines.
func bodyFields(m *sealwright.Message, from string) ([]canon.Field, error) {
	read := canon.LineFields
	if from == "xml" {
		read = canon.XMLFields
	}
	list, err := read(m.Body)
	if err != nil {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
	}
	return list, nil
}

// bodyField returns the value of one such field.
func bodyField(m *sealwright.Message, from, name string) (string, bool, error) {
	list, err := bodyFields(m, from)
	if err != nil {
		return "", false, err
	}
	i := slices.IndexFunc(list, func(f canon.Field) bool { return f.Name == name })
	if i < 0 {
		return "", false, nil
	}
	return list[i].Value, true, nil
}

// isMultipart reports whether the body is a form of parts.
func isMultipart(m *sealwright.Message) bool {
	ct, _, err := header(m, "Content-Type")
	return err == nil && canon.MediaType(ct) == "multipart/form-data"
}

// formField returns the value of a field of the form in the body, which may
// come in parts.
func formField(m *sealwright.Message, name string) (string, bool, error) {
	if !isMultipart(m) {
		return field(string(m.Body), name, "form field")
	}
	start, end, found, err := partBounds(m, name)
	if err != nil || !found {
		return "", false, err
	}
	return string(m.Body[start:end]), true, nil
}

func partBounds(m *sealwright.Message, name string) (start, end int, found bool, err error) {
	ct, _, err := header(m, "Content-Type")
	if err != nil {
		return 0, 0, false, err
	}
	if start, end, found, err = canon.MultipartField(ct, m.Body, name); err != nil {
		err = sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
	}
	return start, end, found, err
}

// putForm sets a field of the form in the body. A field of a form in parts must
// be there already.
func putForm(m *sealwright.Message, name, text string) error {
	if !isMultipart(m) {
		form, err := putField(string(m.Body), name, text)
		if err != nil {
			return err
		}
		m.Body = []byte(form)
		m.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		return nil
	}
	start, end, found, err := partBounds(m, name)
	if err != nil {
		return err
	}
	if !found {
		return sealwright.Refusef(sealwright.ErrCannotSign, "the form has no part %q", name)
	}
	m.Body = slices.Concat(m.Body[:start], []byte(text), m.Body[end:])
	return nil
}
