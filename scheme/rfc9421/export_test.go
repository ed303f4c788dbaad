package rfc9421

import "fmt"

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
