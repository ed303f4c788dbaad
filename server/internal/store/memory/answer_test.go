package memory_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestAnswers(t *testing.T) {
	storetest.RunAnswers(t, func(*testing.T) storetest.AnswerStore { return memory.New() })
}
