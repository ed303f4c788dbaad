package api

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Headers of sign and verify with a body that is the message itself, as the
// members of the same meaning.
const (
	MetadataHeader     = "Sealwright-Metadata"      // [Metadata] in compact JSON, at most MaxMetadata bytes
	BindMetadataHeader = "Sealwright-Bind-Metadata" // true or false
)

// Bounds of [Metadata], inclusive. Text is UTF-8 without control characters.
const (
	MaxMetadata      = 4096 // bytes of the header, and of all texts together
	MaxMetadataText  = 256  // bytes of one text
	MaxMetadataName  = 64   // bytes of a class and of the name of a label
	MaxMetadataCount = 32   // classes, and labels
)

// Metadata says what a message is about: where it comes from, where it goes,
// and what kind of data it has. It is for the policy of the tenant and for the
// log, and is not signed unless the request binds it. Its zero value says
// nothing.
type Metadata struct {
	Environment string            `json:"environment,omitempty" maxLength:"256" doc:"Where the caller runs." example:"production"`
	Source      string            `json:"source,omitempty" maxLength:"256" doc:"The system that the message comes from." example:"shop"`
	Target      string            `json:"target,omitempty" maxLength:"256" doc:"The system that it goes to." example:"bank"`
	Resource    string            `json:"resource,omitempty" maxLength:"256" doc:"The data that it is about; the data catalogue knows its classes." example:"orders.payments"`
	Classes     []string          `json:"classes,omitempty" nullable:"false" maxItems:"32" doc:"Classes of the data, beside those of the catalogue." example:"financial"`
	Labels      map[string]string `json:"labels,omitempty" doc:"Anything else that the policy looks at, at most 32."`
}

// Check returns an error that begins with the name of the member that is over
// its bounds, empty where it must not be, not UTF-8 or with a control
// character, and for a class that stands twice. nil has no metadata, which is
// in order.
func (m *Metadata) Check() error {
	if m == nil {
		return nil
	}
	if len(m.Classes) > MaxMetadataCount {
		return fmt.Errorf("classes: got %d, want at most %d", len(m.Classes), MaxMetadataCount)
	}
	if len(m.Labels) > MaxMetadataCount {
		return fmt.Errorf("labels: got %d, want at most %d", len(m.Labels), MaxMetadataCount)
	}
	total := 0
	check := func(member, text string, least, most int) error {
		total += len(text)
		if n := len(text); n < least || n > most {
			return fmt.Errorf("%s: got %d bytes, want %d to %d", member, n, least, most)
		}
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("%s: want UTF-8 without control characters", member)
		}
		return nil
	}
	for _, f := range m.texts() {
		if err := check(f.name, f.value, 0, MaxMetadataText); err != nil {
			return err
		}
	}
	for i, class := range m.Classes {
		if err := check(fmt.Sprintf("classes[%d]", i), class, 1, MaxMetadataName); err != nil {
			return err
		}
		if slices.Contains(m.Classes[:i], class) {
			return fmt.Errorf("classes[%d]: stands twice", i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		if err := check("labels, a name", name, 1, MaxMetadataName); err != nil {
			return err
		}
		if err := check("labels."+name, m.Labels[name], 0, MaxMetadataText); err != nil {
			return err
		}
	}
	if total > MaxMetadata {
		return fmt.Errorf("metadata: got %d bytes of text, want at most %d", total, MaxMetadata)
	}
	return nil
}

type metadataText struct{ name, value string }

func (m *Metadata) texts() [4]metadataText {
	return [...]metadataText{{"environment", m.Environment}, {"source", m.Source}, {"target", m.Target}, {"resource", m.Resource}}
}

// metadataDomain begins canonical metadata. Its last byte tells where it ends.
const metadataDomain = "sealwright-bound-metadata-v1\n"

// AppendCanonical appends the bytes that stand for m in front of a message to
// which it is bound, as docs/design/metadata.md defines them: no two metadata
// have the same, and none are the beginning of others. Members that are left
// out and empty ones are the same; the order of classes does not count. nil is
// the zero value.
func (m *Metadata) AppendCanonical(dst []byte) []byte {
	if m == nil {
		m = &Metadata{}
	}
	dst = append(dst, metadataDomain...)
	for _, f := range m.texts() {
		dst = appendSized(dst, f.value)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Classes)))
	for _, class := range slices.Sorted(slices.Values(m.Classes)) {
		dst = appendSized(dst, class)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Labels)))
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		dst = appendSized(appendSized(dst, name), m.Labels[name])
	}
	return dst
}

func appendSized(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(text))), text...)
}
