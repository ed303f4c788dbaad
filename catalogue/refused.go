package catalogue

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

//go:embed refused.jsonl
var refused []byte

// Refusal is a format that people ask for and that is no HMAC.
type Refusal struct {
	Name         string `json:"name"`              // as a preset would be called
	Title        string `json:"title"`             // name of the provider or format
	Construction string `json:"construction"`      // what it is instead of an HMAC
	Reason       string `json:"reason"`            // why it is no preset, half a sentence
	Instead      string `json:"instead,omitempty"` // what to use, "" if nothing is known
}

// Refused returns why there is no preset of this name, and false if it is not
// one of those that are refused.
func Refused(name string) (Refusal, bool) {
	for _, r := range Refusals() {
		if r.Name == name {
			return r, true
		}
	}
	return Refusal{}, false
}

// Refusals returns all formats that are refused, sorted by name.
func Refusals() []Refusal {
	var list []Refusal
	for line := range bytes.Lines(refused) {
		var r Refusal
		if err := json.Unmarshal(line, &r); err != nil {
			panic(err) // the file is embedded, and a test reads it
		}
		list = append(list, r)
	}
	return list
}
