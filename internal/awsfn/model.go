package awsfn

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/idiom"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/route"
)

const (
	// maxPiece is the longest text of one message. AppSync delivers 240 KB,
	// API Gateway 128 KiB, and JSON may need six bytes for one.
	maxPiece = 20 << 10
	// maxWaiting is how many fragments may wait while a message is on its way. A
	// model that is further ahead is not read until some have gone.
	maxWaiting = 4096
	// maxTries is how often a call is made that fails before its first fragment.
	maxTries = 4

	// reserve is kept of a function's time for saying that an answer was cut off;
	// of a short time, a quarter.
	reserve = 5 * time.Second
)

// A Model answers prompts.
type Model struct {
	provider  runnel.Provider
	system    string
	maxTokens int
	group     idiom.Group
	interval  time.Duration
}

// OpenModel returns the model that the environment names: MODEL in the form of
// `runnel serve --model`, SYSTEM_PROMPT, MAX_TOKENS. GROUP_SIZE and GROUP_INTERVAL
// are how many fragments make a message, and how long one waits for others.
func OpenModel(s *Settings, groupSize int) (*Model, error) {
	m := &Model{
		system: s.Text("SYSTEM_PROMPT", ""), maxTokens: s.Count("MAX_TOKENS", 0),
		group:    idiom.Group{Size: s.Count("GROUP_SIZE", groupSize), Most: maxPiece},
		interval: s.Duration("GROUP_INTERVAL", 150*time.Millisecond),
	}
	name := s.Required("MODEL")
	if err := s.Err(); err != nil {
		return nil, err
	}
	spec, err := route.ParseSpec(name)
	if err != nil {
		return nil, err
	}
	open, ok := map[string]func(string, url.Values) (runnel.Provider, error){"bedrock": bedrock.Open, "echo": echo.Open}[spec.Provider]
	if !ok {
		return nil, runnel.Errorf(runnel.Invalid, "MODEL is %q and must begin with bedrock/, or be echo", spec.Name())
	}
	m.provider, err = open(spec.Model, spec.Settings)
	return m, err
}

// A DeliveryError says that an answer could not be handed on.
type DeliveryError struct{ Err error }

func (e *DeliveryError) Error() string { return "hand on an answer: " + e.Err.Error() }

// Unwrap returns why.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Ask asks the model and hands its answer to say, piece after piece: the first
// fragment at once, then so many together as make a group, or as have come while
// say was busy. What was read before a failure is said before Ask returns it.
// The model has until shortly before ctx's deadline, say until then.
//
// The error is a [*DeliveryError] if say has failed; otherwise it is the model's.
func (m *Model) Ask(ctx context.Context, text string, say func(ctx context.Context, text string) error) error {
	asking, cancel := withReserve(ctx)
	defer cancel()
	fragments := make(chan string, maxWaiting)
	var failure error // of the model; set before fragments is closed
	go func() {
		defer close(fragments)
		failure = m.read(asking, text, fragments)
	}()
	if err := m.relay(ctx, fragments, say); err != nil {
		cancel()
		for range fragments { // until the reader has ended
		}
		return &DeliveryError{err}
	}
	if failure != nil && asking.Err() != nil && ctx.Err() == nil {
		failure = runnel.Errorf(runnel.Unavailable, "the answer took too long").Because(failure)
	}
	return failure
}

// withReserve returns a context that ends in time before ctx does.
func withReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(reserve, time.Until(end)/4)))
}

// relay hands fragments to say until there are no more.
func (m *Model) relay(ctx context.Context, fragments <-chan string, say func(context.Context, string) error) error {
	group := m.group
	full := true // the first fragment waits for nothing
	wait := time.NewTimer(0)
	defer wait.Stop()
	for open := true; open; {
		var due <-chan time.Time
		if !group.Empty() {
			wait.Reset(time.Until(group.Since().Add(m.interval)))
			due = wait.C
		}
		select {
		case <-due:
			full = true
		case text, more := <-fragments:
			if open = more; more {
				full = group.Add(text) || full
			}
		}
		for open && len(fragments) > 0 && group.Fits() { // they came while say was busy
			full = group.Add(<-fragments) || full
		}
		if group.Empty() || open && !full {
			continue
		}
		if err := say(ctx, group.Take()); err != nil {
			return err
		}
		full = false
	}
	return nil
}

// read reads an answer. A call that fails before anything came of it is repeated.
func (m *Model) read(ctx context.Context, text string, out chan<- string) error {
	p := runnel.Prompt{System: m.system, MaxTokens: m.maxTokens, Messages: []runnel.Message{runnel.TextMessage(runnel.User, text)}}
	for try := 1; ; try++ {
		began, err := m.once(ctx, p, out)
		if err == nil || began || try == maxTries || !passing(err) {
			return err
		}
		var after time.Duration
		if e, ok := errors.AsType[*runnel.Error](err); ok {
			after = e.RetryAfter
		}
		if !pause(ctx, try, after) {
			return err
		}
	}
}

// passing reports whether a failure may pass.
func passing(err error) bool {
	kind := runnel.KindOf(err)
	return kind == runnel.Limited || kind == runnel.Unavailable
}

func (m *Model) once(ctx context.Context, p runnel.Prompt, out chan<- string) (began bool, err error) {
	for d, err := range m.provider.Generate(ctx, p) {
		switch {
		case err != nil:
			return began, err
		case d.End != nil:
			return began, nil
		case d.Text == "":
			continue
		}
		began = true
		select {
		case out <- d.Text:
		case <-ctx.Done():
			return began, context.Cause(ctx)
		}
	}
	return began, runnel.Errorf(runnel.Unavailable, "the model's answer has no end")
}
