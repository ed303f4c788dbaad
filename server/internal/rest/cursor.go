package rest

import (
	"net/http"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
)

// A cursor is the name to go on after, with a tag over it and the tenant. It
// is opaque to the caller, and good for all who have the same [Options.Cursors].

// maxCursor is the length in characters of the longest cursor.
const maxCursor = 512

func (a *API) sealCursor(tenant, after string) (string, error) {
	tag, err := a.cursors.Sum(nil, cursorBytes(tenant, after))
	if err != nil {
		return "", err
	}
	return canon.Base64URLRaw.EncodeToString(append(tag, after...)), nil
}

// openCursor returns the name to go on after, empty for no cursor.
func (a *API) openCursor(tenant, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	wrong := newProblem(http.StatusUnprocessableEntity, "the cursor is not one of this server, or the server was started again: begin without a cursor").
		at("query.cursor", "not valid")
	if len(cursor) > maxCursor {
		return "", wrong
	}
	raw, err := canon.Base64URLRaw.DecodeString(cursor)
	size := mac.SHA256.Size()
	if err != nil || len(raw) < size {
		return "", wrong
	}
	after := string(raw[size:])
	if !a.cursors.Verify(raw[:size], cursorBytes(tenant, after)) {
		return "", wrong
	}
	return after, nil
}

// cursorBytes joins both unambiguously: neither can hold a zero byte.
func cursorBytes(tenant, after string) []byte {
	return append(append([]byte(tenant), 0), after...)
}
