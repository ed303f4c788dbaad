package custody

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// purposes are what a key can be made for.
var purposes = []string{"webhook", "api", "artifact", "event", "audit", "package"}

// checkPurpose takes nothing for everything. The error is of kind
// [fault.Invalid].
func checkPurpose(purpose string) error {
	if purpose == "" || slices.Contains(purposes, purpose) {
		return nil
	}
	return fault.New(fault.Invalid, "purpose: unknown, want one of %s", strings.Join(purposes, ", "))
}

// CheckPurpose returns nil if k may be used for purpose: k was made for it or
// for everything, or nothing is said about the purpose. Otherwise the error is
// of kind [fault.Denied], of kind [fault.Invalid] for a purpose that does not
// exist.
func (k *Key) CheckPurpose(purpose string) error {
	if err := checkPurpose(purpose); err != nil {
		return err
	}
	if purpose != "" && k.Purpose != "" && purpose != k.Purpose {
		return fault.New(fault.Denied, "key %q is for purpose %s, not for %s", k.Name, k.Purpose, purpose)
	}
	return nil
}
