package rest

import "github.com/sealwright/sealwright/server/internal/custody"

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
