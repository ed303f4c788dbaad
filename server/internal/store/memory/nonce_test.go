package memory_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestNonces(t *testing.T) { storetest.RunNonces(t, memory.New()) }
