package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright/api"
)

// metadata reads an object of metadata, of the member name, and checks it.
func (d *decoder) metadata(name string) (*api.Metadata, error) {
	m := &api.Metadata{}
	err := d.members(name, "an object", func(member string) error {
		var to *string
		switch place := name + "." + member; member {
		case "environment":
			to = &m.Environment
		case "source":
			to = &m.Source
		case "target":
			to = &m.Target
		case "resource":
			to = &m.Resource
		case "classes":
			return d.texts(place, &m.Classes)
		case "labels":
			return d.labels(place, m)
		default:
			return d.refuse(http.StatusUnprocessableEntity, name, "unknown member before byte %d", d.pos)
		}
		text, err := d.optional(name + "." + member)
		*to = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, d.refuse(http.StatusUnprocessableEntity, name, "%v", err)
	}
	return m, nil
}

// members reads an object and calls value with each name, which must not stand
// twice, in front of its value.
func (d *decoder) members(name, want string, value func(member string) error) error {
	if !d.take('{') {
		return d.wrongType(name, want)
	}
	seen := map[string]bool{}
	d.space()
	for !d.take('}') {
		if len(seen) > 0 {
			if !d.take(',') {
				return d.syntax("no comma and no } after a member")
			}
			d.space()
		}
		if d.pos == len(d.data) || d.data[d.pos] != '"' {
			return d.syntax("no name of a member")
		}
		text, err := d.str(name)
		if err != nil {
			return err
		}
		member := string(text)
		if seen[member] {
			return d.refuse(http.StatusBadRequest, name, "a member stands twice, again before byte %d", d.pos)
		}
		if len(seen) > api.MaxMetadataCount { // more than any object of metadata may have
			return d.refuse(http.StatusUnprocessableEntity, name, "more than %d members", api.MaxMetadataCount)
		}
		seen[member] = true
		d.space()
		if !d.take(':') {
			return d.syntax("no colon after the name of a member")
		}
		d.space()
		if err := value(member); err != nil {
			return err
		}
		d.space()
	}
	return nil
}

// optional reads a string or null, which is nothing.
func (d *decoder) optional(name string) ([]byte, error) {
	if isNull, err := d.null(); isNull || err != nil {
		return nil, err
	}
	return d.text(name)
}

// texts reads an array of strings into list, or null.
func (d *decoder) texts(name string, list *[]string) error {
	if isNull, err := d.null(); isNull || err != nil {
		return err
	}
	if !d.take('[') {
		return d.wrongType(name, "an array")
	}
	d.space()
	for !d.take(']') {
		if len(*list) > 0 {
			if !d.take(',') {
				return d.syntax("no comma and no ] after an item")
			}
			d.space()
		}
		if len(*list) == api.MaxMetadataCount {
			return d.refuse(http.StatusUnprocessableEntity, name, "more than %d", api.MaxMetadataCount)
		}
		text, err := d.text(name)
		if err != nil {
			return err
		}
		*list = append(*list, string(text))
		d.space()
	}
	return nil
}

// labels reads an object of strings, or null.
func (d *decoder) labels(name string, m *api.Metadata) error {
	if isNull, err := d.null(); isNull || err != nil {
		return err
	}
	m.Labels = map[string]string{}
	return d.members(name, "an object", func(label string) error {
		text, err := d.text(name)
		m.Labels[label] = string(text)
		return err
	})
}

// metadataOf reads the headers of a body that is the message itself. Without
// the first it returns nil.
func metadataOf(h http.Header) (m *api.Metadata, bind bool, err error) {
	text, given, err := oneHeader(h, api.MetadataHeader)
	if err != nil {
		return nil, false, err
	}
	if given {
		if m, err = parseMetadata(text); err != nil {
			return nil, false, err
		}
	}
	switch text, given, err := oneHeader(h, api.BindMetadataHeader); {
	case err != nil:
		return nil, false, err
	case given && text != "true" && text != "false":
		return nil, false, headerProblem(api.BindMetadataHeader, "want true or false")
	default:
		return m, text == "true", nil
	}
}

// parseMetadata reads the value of the header.
func parseMetadata(text string) (*api.Metadata, error) {
	if len(text) > api.MaxMetadata {
		return nil, headerProblem(api.MetadataHeader, "more than 4096 bytes")
	}
	d := decoder{data: []byte(text), item: -1}
	d.space()
	m, err := d.metadata("metadata")
	if d.space(); err == nil && d.pos != len(d.data) {
		err = d.syntax("more follows after the object")
	}
	var bad *badBody
	if errors.As(err, &bad) {
		place := strings.TrimPrefix(strings.TrimPrefix(bad.location, "body"), ".metadata")
		bad.location = "header." + api.MetadataHeader + place
		return nil, bad
	}
	return m, err
}

func headerProblem(name, detail string) error {
	return &badBody{status: http.StatusUnprocessableEntity, location: "header." + name, detail: detail}
}
