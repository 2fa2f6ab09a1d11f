package providertest

import (
	"testing"

	"github.com/runnelhq/runnel"
)

// Run runs the suite. The package under test should check for leaked goroutines
// in its TestMain.
func Run(t *testing.T, v Vendor) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, Vendor)
	}{
		{"request", testRequest},
		{"request to go on", testContinue},
		{"answer", testAnswer},
		{"tools", testTools},
		{"stop reasons", testStopReasons},
		{"deltas come at once", testAtOnce},
		{"the connection stays open after the end", testOpenEnd},
		{"concurrent", testConcurrent},
		{"break", testBreak},
		{"cancel", testCancel},
		{"silence until the deadline", testSilence},
		{"broken answers", testBroken},
		{"failure in the middle", testFailure},
		{"refusals", testRefusals},
		{"retry after", testRetryAfter},
		{"nobody there", testNobody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, v)
		})
	}
}

// prompt is the shortest one.
func prompt() runnel.Prompt {
	return runnel.Prompt{
		Session: "s", Generation: "g",
		Messages: []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
	}
}

// greeting is an answer with everything but tools.
func greeting() Answer {
	return Answer{
		Reasoning: []string{"They ", "greet."},
		Text:      []string{"Hel", "lo, \"wörld\" ", "日本 😀\n", " \\ </b>"},
		Stop:      runnel.EndTurn,
		Usage:     runnel.Usage{InputTokens: 7, OutputTokens: 11},
	}
}
