package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Options say what to measure, and with what.
type Options struct {
	Program string    // the runnel binary, which is started in every role
	Version string    // of it, for the report
	Command string    // that the user gave, for the report
	Quick   bool      // take a minute, and be rough
	Only    []string  // the parts to run; empty is all
	Log     io.Writer // is told what goes on

	plan *plan    // nil: the full or the quick one
	env  []string // that the handler of a function needs; tests set it
}

// A part measures one thing.
type part struct {
	name    string
	title   string
	measure func(*suite, context.Context, *Section) error
}

func allParts() []part {
	return []part{
		{"start", "Start and idle memory", (*suite).measureStart},
		{"accept", "Durable acceptance", (*suite).measureAccept},
		{"access", "Credentials", (*suite).measureAccess},
		{"ttft", "Time to first token", (*suite).measureFirstTokens},
		{"tokens", "Delay of tokens", (*suite).measureTokens},
		{"fanout", "Fan-out of one session", (*suite).measureFanOut},
		{"idle", "Memory of idle viewers", (*suite).measureIdle},
		{"websocket", "WebSockets", (*suite).measureWebSockets},
		{"graphql", "GraphQL subscribers", (*suite).measureGraphQL},
		{"stop", "Stop", (*suite).measureStop},
		{"functions", "Functions", (*suite).measureFunctions},
	}
}

// Parts returns the names of what can be measured.
func Parts() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

// A suite is one run of some parts.
type suite struct {
	opts     Options
	plan     plan
	dir      string // the gateways' data, each in its own folder
	model    *process
	gateways int // started so far

	run  int64        // tells the sessions of one run from those of another
	last atomic.Int64 // the number of the last session
}

// Run measures the parts that are asked for, one after the other. A part that
// fails does not keep the others from running: the report says what is missing,
// and the error why.
func Run(ctx context.Context, opts Options) (*Report, error) {
	parts, err := choose(opts.Only)
	if err != nil {
		return nil, err
	}
	s := newSuite(opts)
	if s.dir, err = os.MkdirTemp("", "runnel-bench-"); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(s.dir)
	if s.model, err = s.spawn(ctx, "bench", "model-server", "--listen", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	defer s.model.kill()

	report := &Report{Machine: thisMachine(opts.Version), Command: opts.Command}
	for _, p := range parts {
		section := Section{Title: p.title}
		s.say(p.title)
		if section.Err = p.measure(s, ctx, &section); section.Err != nil {
			err = errors.Join(err, section.Err)
			s.say("  " + section.Err.Error())
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		report.Sections = append(report.Sections, section)
	}
	return report, err
}

func newSuite(opts Options) *suite {
	s := &suite{opts: opts, plan: fullPlan(), run: time.Now().Unix()}
	switch {
	case opts.plan != nil:
		s.plan = *opts.plan
	case opts.Quick:
		s.plan = quickPlan()
	}
	return s
}

// choose returns the parts with the given names, in our order.
func choose(names []string) ([]part, error) {
	for _, name := range names {
		if !slices.Contains(Parts(), name) {
			return nil, fmt.Errorf("bench: there is nothing called %q to measure; there is %s", name, strings.Join(Parts(), ", "))
		}
	}
	return slices.DeleteFunc(allParts(), func(p part) bool {
		return len(names) > 0 && !slices.Contains(names, p.name)
	}), nil
}

// say tells the user what goes on.
func (s *suite) say(format string, args ...any) {
	fmt.Fprintf(s.opts.Log, format+"\n", args...)
}

// freshSession returns the id of a session that nobody has used.
func (s *suite) freshSession() string {
	return fmt.Sprintf("bench-%x-%d", s.run, s.last.Add(1))
}
