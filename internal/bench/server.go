package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/wire"
)

// Load is what [Server] asks of a gateway: so many prompts in all, so many of
// them at once. Answers may cost money, so both are the user's choice.
type Load struct {
	Streams int
	Prompts int
	Prompt  string
}

// Server measures a gateway that runs already, with whatever model it has: the
// time to the first token as a client sees it, and the pace of the rest.
func Server(ctx context.Context, opts Options, server string, load Load) (*Report, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("bench: %q is not a gateway's address; write it like http://127.0.0.1:8080", server)
	}
	if load.Streams < 1 || load.Prompts < 1 {
		return nil, errors.New("bench: there must be at least one stream and one prompt")
	}
	s := newSuite(opts)
	got, err := s.askServer(ctx, base, load)
	if err != nil {
		return nil, err
	}
	out := Section{
		Title: "A gateway that runs already",
		How:   fmt.Sprintf("%d prompts, %d at once, each in a new session.", load.Prompts, load.Streams),
		Head:  []string{"what", "p50", "p90", "p99", "max"},
	}
	first, whole := summarize(got.first), summarize(got.whole)
	out.row("to the first token", millis(first.p50), millis(first.p90), millis(first.p99), millis(first.max))
	out.row("to the end of the answer", millis(whole.p50), millis(whole.p90), millis(whole.p99), millis(whole.max))
	out.find("time to first token, p50", millis(first.p50))
	out.find("deltas per second and stream, median", fmt.Sprintf("%.1f", median(got.rate)))
	out.find("characters per second and stream, median", fmt.Sprintf("%.0f", median(got.chars)))
	return &Report{Machine: thisMachine(opts.Version), Command: opts.Command, Sections: []Section{out}}, nil
}

// served is what many answers were like. Each slice has one entry per answer,
// but those of rates leave out answers of a single piece, which have none.
type served struct {
	first, whole []time.Duration
	rate, chars  []float64
}

func (s *suite) askServer(ctx context.Context, base *url.URL, load Load) (served, error) {
	asking := &way{name: "server", base: base}
	results := make([]served, load.Streams)
	var begun atomic.Int64
	err := asking.each(ctx, load.Streams, 0, func(i int, c *conn) error {
		for begun.Add(1) <= int64(load.Prompts) {
			if err := results[i].ask(c, newPrompt(base, s.freshSession(), load.Prompt, true)); err != nil {
				return err
			}
			s.say("  an answer: first token after %s", millis(results[i].first[len(results[i].first)-1]))
		}
		return nil
	})
	var all served
	for _, r := range results {
		all.first, all.whole = slices.Concat(all.first, r.first), slices.Concat(all.whole, r.whole)
		all.rate, all.chars = slices.Concat(all.rate, r.rate), slices.Concat(all.chars, r.chars)
	}
	return all, err
}

// ask asks for one answer and notes how it came.
func (r *served) ask(c *conn, req request) error {
	sent := time.Now()
	var first, last time.Time
	deltas, chars := 0, 0
	var end runnel.Event
	err := c.frames(req, func(f sse.Frame, at time.Time) bool {
		var ev runnel.Event
		if wire.Decode(bytes.Clone(f.Data), &ev) != nil {
			return true // a frame of something newer
		}
		if ev.Type == runnel.EventDelta {
			if first.IsZero() {
				first = at
			} else {
				deltas++
				chars += len([]rune(ev.Text))
			}
			last = at
		}
		end = ev
		return true
	})
	switch {
	case err != nil:
		return err
	case end.Type != runnel.EventDone || first.IsZero():
		return fmt.Errorf("bench: no answer; the stream ended with %s", end.Body)
	}
	r.first, r.whole = append(r.first, first.Sub(sent)), append(r.whole, time.Since(sent))
	if span := last.Sub(first).Seconds(); span > 0 {
		r.rate, r.chars = append(r.rate, float64(deltas)/span), append(r.chars, float64(chars)/span)
	}
	return nil
}
