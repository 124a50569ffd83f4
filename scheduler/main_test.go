package scheduler

import (
	"testing"

	"github.com/panjf2000/ants/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	ants.Release() // its import starts a pool of its own
	goleak.VerifyTestMain(m)
}
