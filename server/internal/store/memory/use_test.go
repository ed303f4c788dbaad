package memory_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestUses(t *testing.T)   { storetest.RunUses(t, memory.New()) }
func TestLeases(t *testing.T) { storetest.RunLeases(t, memory.New()) }
