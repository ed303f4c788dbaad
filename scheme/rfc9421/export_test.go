package rfc9421

import (
	"fmt"

	"github.com/sealwright/sealwright"
)

// ParseAny is Parse without the short way for messages that look as expected.
func ParseAny(s sealwright.Scheme, m *sealwright.Message, c *sealwright.Claim) error {
	return s.(*profile).parseAny(new(work), m, c)
}

// Expected reports whether the short way is taken.
func Expected(s sealwright.Scheme, m *sealwright.Message) bool {
	_, _, ok := s.(*profile).expected(new(work), m)
	return ok
}

// Reprint parses text as a dictionary, list or item and prints it.
func Reprint(kind, text string) (string, error) {
	var f field
	switch kind {
	case "dictionary":
		err := f.parseDictionary(text)
		return string(f.appendDictionary(nil)), err
	case "list":
		err := f.parseList(text)
		return string(f.appendList(nil)), err
	case "item":
		err := f.parseItem(text)
		return string(f.appendList(nil)), err
	}
	return "", fmt.Errorf("unknown kind %q", kind)
}
