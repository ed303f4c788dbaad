package rest

import (
	"net/http"

	"github.com/sealwright/sealwright/server/internal/fault"
)

func (a *API) sealCursor(tenant, after string) (string, error) { return a.cursors.Seal(tenant, after) }

// openCursor returns the name to go on after, empty for no cursor.
func (a *API) openCursor(tenant, text string) (string, error) {
	after, err := a.cursors.Open(tenant, text)
	if err != nil {
		return "", newProblem(http.StatusUnprocessableEntity, fault.Public(err)).at("query.cursor", "not valid")
	}
	return after, nil
}
