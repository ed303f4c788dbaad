package rest

import (
	"net/http"

	"github.com/sealwright/sealwright/server/internal/custody"
)

// Headers of a streamed body, as the members of the same meaning.
const (
	headerPurpose = "Sealwright-Purpose"
	headerContext = "Sealwright-Context"
)

// narrow returns the key to use for a purpose and a context, nil for nothing
// said about them. An empty text is something said, and wrong.
func narrow(key *custody.Key, purpose, context []byte) (*custody.Key, error) {
	if purpose != nil {
		if len(purpose) == 0 {
			return nil, invalid("body.purpose", "empty, leave it out if the purpose does not matter")
		}
		if err := key.CheckPurpose(string(purpose)); err != nil {
			return nil, err
		}
	}
	if context == nil {
		return key, nil
	}
	return key.Derive(string(context))
}

// narrowByHeader is narrow for a body that is the message itself.
func narrowByHeader(h http.Header, key *custody.Key) (*custody.Key, error) {
	var values [2][]byte
	for i, name := range [...]string{headerPurpose, headerContext} {
		text, ok, err := oneHeader(h, name)
		if err != nil {
			return nil, err
		}
		if ok {
			values[i] = []byte(text)
		}
	}
	return narrow(key, values[0], values[1])
}
