package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestUses(t *testing.T)   { storetest.RunUses(t, open(t, filepath.Join(t.TempDir(), "s.db"))) }
func TestLeases(t *testing.T) { storetest.RunLeases(t, open(t, filepath.Join(t.TempDir(), "s.db"))) }
func TestHead(t *testing.T)   { storetest.RunHead(t, open(t, filepath.Join(t.TempDir(), "s.db"))) }
