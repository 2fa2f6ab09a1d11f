package logtest

import (
	"testing"

	"github.com/runnelhq/runnel"
)

// A Harness says how to get the engine under test, and how to hurt it.
type Harness struct {
	// Open returns an empty engine, and has t close it when the test is over.
	Open func(t *testing.T) runnel.Engine

	// Checkpoint notes what the log of e holds now, and returns a function that
	// crashes the engine and starts it again with a log that ends there. All
	// else is as it was just before the crash. The function gets the engine as
	// it is by then, which the test does not use any more, and returns the new
	// one, which t closes. Checkpoints nest: after a crash to a later one, an
	// earlier one still works. Nil skips the cases that need it.
	Checkpoint func(t *testing.T, e runnel.Engine) (crash func(e runnel.Engine) runnel.Engine)

	// Expire drops the events up to and including upTo, of all sessions, as
	// retention would. Nil skips the cases that need it.
	Expire func(t *testing.T, e runnel.Engine, upTo runnel.Cursor)
}

// A test is one case. It finds e's queue empty if it is a queue case, and
// leaves it so.
type test struct {
	name string
	run  func(t *testing.T, e runnel.Engine)
}

// Run holds the engine to the contract.
func Run(t *testing.T, h Harness) {
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		e := h.Open(t)
		for _, c := range logTests() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, e)
			})
		}
	})
	t.Run("queue", func(t *testing.T) {
		t.Parallel()
		e := h.Open(t)
		for _, c := range queueTests() {
			t.Run(c.name, func(t *testing.T) { c.run(t, e) })
		}
	})
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		if h.Checkpoint == nil {
			t.Skip("the harness cannot crash this engine")
		}
		for _, c := range crashTests() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, &victim{Engine: h.Open(t), t: t, harness: h})
			})
		}
	})
	t.Run("expire", func(t *testing.T) {
		t.Parallel()
		if h.Expire == nil {
			t.Skip("the harness cannot expire this engine's events")
		}
		for _, c := range expireTests(h) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, h.Open(t))
			})
		}
	})
}
