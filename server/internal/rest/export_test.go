package rest

import "github.com/sealwright/sealwright/api"

// Message is what the decoder found, for tests: nil for a member that is
// absent or null.
type Message struct {
	Message, Text, Tag, Signature, Encoding, Purpose, Context *string

	Bind bool

	Metadata *api.Metadata
}

// DecodeSign runs the decoder of sign, and DecodeVerify that of verify. An
// error is returned with its status and place.
func DecodeSign(data []byte, maxItems int) (Message, []Message, bool, error) {
	return decodeForTest(data, signMembers, maxItems)
}

// DecodeVerify is the decoder of verify.
func DecodeVerify(data []byte, maxItems int) (Message, []Message, bool, error) {
	return decodeForTest(data, verifyMembers, maxItems)
}

func decodeForTest(data []byte, members member, maxItems int) (Message, []Message, bool, error) {
	var b batch
	err := decodeBatch(data, &b, members, maxItems)
	items := make([]Message, 0, len(b.items))
	for _, m := range b.items {
		items = append(items, exported(m))
	}
	return exported(b.message), items, b.isBatch, err
}

func exported(m message) Message {
	text := func(b []byte) *string {
		if b == nil {
			return nil
		}
		s := string(b)
		return &s
	}
	return Message{
		text(m.base64), text(m.text), text(m.tag), text(m.signature), text(m.encoding), text(m.purpose), text(m.context), m.bind, m.metadata,
	}
}

// StatusOf returns the status and the place of an error of the decoder.
func StatusOf(err error) (status int, location string) {
	b, ok := err.(*badBody)
	if !ok {
		return 0, ""
	}
	return b.status, b.location
}

// CheckJSON is checkJSON for any members.
func CheckJSON(data []byte) error { return checkJSON(data, nil) }

// ParseMetadata reads the value of the header.
func ParseMetadata(text string) (*api.Metadata, error) { return parseMetadata(text) }
