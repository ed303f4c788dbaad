package local_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
)

func TestConformance(t *testing.T) {
	kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
		return kmstest.Subject{
			Wrapper: load(t, write(t, rootB+"\n"+rootA+"\n")), Against: "a root key file",
			Other: idB, Unknown: "0123456789abcdef",
		}
	})
}
