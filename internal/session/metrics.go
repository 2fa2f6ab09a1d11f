package session

import (
	"time"

	"github.com/runnelhq/runnel"
)

// Metrics is told what happens to generations. Its methods are called from
// many goroutines, TokenGap once per fragment: they must be cheap and must not
// block.
type Metrics interface {
	// Accepted reports how long it took to make a prompt durable.
	Accepted(took time.Duration)
	// Started reports that an attempt began to run.
	Started(model string)
	// TookOver reports what an attempt does with what those before it have said:
	// [Continued], [Restarted] or [Refused].
	TookOver(model, how string)
	// FirstToken reports the time from acceptance to the first fragment.
	FirstToken(model string, after time.Duration)
	// TokenGap reports the time between two fragments.
	TokenGap(model string, gap time.Duration)
	// Retried reports a call that failed before its first fragment and is
	// repeated or falls over.
	Retried(model string, kind runnel.Kind)
	// Appended reports that an event was stored.
	Appended()
	// Published reports that a piece from outside was made durable.
	Published()
	// Ended reports the end of a generation whose attempt ran here.
	Ended(model string, t *runnel.Turn)
}

// An attempt goes on with what those before it have said, begins anew, or begins
// anew because its model refused to go on with it.
const (
	Continued = "continued"
	Restarted = "restarted"
	Refused   = "refused"
)

type noMetrics struct{}

func (noMetrics) Accepted(time.Duration)           {}
func (noMetrics) Started(string)                   {}
func (noMetrics) TookOver(string, string)          {}
func (noMetrics) FirstToken(string, time.Duration) {}
func (noMetrics) TokenGap(string, time.Duration)   {}
func (noMetrics) Retried(string, runnel.Kind)      {}
func (noMetrics) Appended()                        {}
func (noMetrics) Published()                       {}
func (noMetrics) Ended(string, *runnel.Turn)       {}
