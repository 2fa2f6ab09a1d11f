package memlog_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/logtest"
	"github.com/runnelhq/runnel/internal/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	logtest.Run(t, logtest.Harness{
		Open: func(*testing.T) runnel.Engine {
			e := memlog.New()
			e.Lease = time.Second // long enough for a busy machine to renew in time
			return e
		},
		Checkpoint: func(_ *testing.T, e runnel.Engine) func(runnel.Engine) runnel.Engine {
			end := e.(*memlog.Engine).Last()
			return func(e runnel.Engine) runnel.Engine {
				m := e.(*memlog.Engine)
				m.Crash(int(m.Last() - end))
				return m
			}
		},
		Expire: func(_ *testing.T, e runnel.Engine, upTo runnel.Cursor) { e.(*memlog.Engine).Expire(upTo.Seq) },
	})
}
