package session

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/runnelhq/runnel"
)

// bytesPerToken is what a token of a text is taken for when it is not known how
// many there are.
const bytesPerToken = 4

// maxSpace bounds the white space that is looked at where an answer goes on.
const maxSpace = 256

// takeOver begins an attempt that others came before. Its first event keeps a
// worker that was taken for dead from adding to the log; what that says by then
// is what this attempt may go on with.
func (g *generation) takeOver(ctx context.Context, src *source, out *outlet) error {
	steady := context.WithoutCancel(ctx)
	var at runnel.Cursor
	err := g.persist(ctx, func() (err error) {
		at, err = g.append(steady, g.writer, runnel.Event{Type: runnel.EventStarted, Model: src.model, Data: src.data})
		return err
	})
	if err != nil {
		return err
	}
	if g.prompt.Published != 0 {
		out.reset("") // the pieces come again
		return nil
	}
	at.Seq-- // what lies before it
	return g.persist(ctx, func() (err error) {
		g.sofar, err = g.s.foldUntil(steady, &g.run, at)
		return err
	})
}

// tookOver says what an attempt does with what those before it have said, of which
// text stands.
func (g *generation) tookOver(ctx context.Context, model, how string, out *outlet, text string) {
	out.reset(text)
	g.s.metrics.TookOver(model, how)
	g.s.log.InfoContext(ctx, "took over an answer", "session_id", g.prompt.Session, "generation_id", g.prompt.Generation,
		"attempt", g.run.Attempt, "model", model, "how", how, "bytes", len(text))
}

// goOn returns the prompt and the candidate with which an answer is gone on with
// of which there is f so far. It reports false, and returns both as they are, if
// that cannot be: there is no text, or not only text, or not all of it is known;
// or the model cannot.
func goOn(p runnel.Prompt, c runnel.Candidate, f *fold) (runnel.Prompt, runnel.Candidate, bool) {
	if f == nil || !f.whole || f.sealed || len(f.reasoning) > 0 || len(f.tools) > 0 || p.ToolChoice.Mode == "any" || p.ToolChoice.Mode == "tool" {
		return p, c, false
	}
	model, can := c.Provider.(runnel.Continuer)
	text := string(f.text)
	// Vendors refuse white space at the end, and models do badly after it.
	prefix := strings.TrimRightFunc(text, unicode.IsSpace)
	if !can || !model.Continues() || prefix == "" {
		return p, c, false
	}
	p.Continue = true
	p.Messages = slices.Clone(p.Messages)
	if last := len(p.Messages) - 1; last >= 0 && p.Messages[last].Role == runnel.Assistant {
		p.Messages[last] = extended(p.Messages[last], prefix) // the client has begun the answer
	} else {
		p.Messages = append(p.Messages, runnel.TextMessage(runnel.Assistant, prefix))
	}
	if p.MaxTokens > 0 { // which vendors count from here on
		p.MaxTokens = max(1, p.MaxTokens-len(prefix)/bytesPerToken)
	}
	space := text[len(prefix):]
	c.Provider = joining{c.Provider, space[max(0, len(space)-maxSpace):]}
	return p, c, true
}

// extended returns m with more text at its end.
func extended(m runnel.Message, text string) runnel.Message {
	m.Parts = slices.Clone(m.Parts)
	if last := len(m.Parts) - 1; last >= 0 && m.Parts[last].Text != "" {
		m.Parts[last].Text += text
	} else {
		m.Parts = append(m.Parts, runnel.Part{Text: text})
	}
	return m
}

// joining is a provider that was not told of the white space at the end of the
// text that it goes on with, and may say it again.
type joining struct {
	runnel.Provider
	space string
}

// Generate implements [runnel.Provider].
func (j joining) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		space, held := j.space, ""
		for d, err := range j.Provider.Generate(ctx, p) {
			switch {
			case space != "" && d.Text != "":
				held += d.Text
				if len(held) < len(space) && strings.TrimSpace(held) == "" {
					continue // more of it may come
				}
				d.Text = unsaid(space, held)
				if space, held = "", ""; d.Text == "" {
					continue
				}
			case held != "" && err == nil:
				more := unsaid(space, held)
				if space, held = "", ""; more != "" && !yield(runnel.Delta{Text: more}, nil) {
					return
				}
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// unsaid returns what text adds to the white space that stands before it: all but
// what that ends with.
func unsaid(space, text string) string {
	for n := min(len(space), len(text)); n > 0; n-- {
		if strings.HasSuffix(space, text[:n]) {
			return text[n:]
		}
	}
	return text
}

// sumUp says in the turn what the attempts cost together and, if there was more
// than one, each by itself.
func (g *generation) sumUp(t *runnel.Turn) {
	all := slices.Clone(before(&g.run))
	if len(all) == 0 {
		return
	}
	if g.sofar != nil {
		for _, heard := range g.sofar.attempts {
			for i := range all {
				if all[i].Attempt == heard.Attempt {
					all[i].Model, all[i].Continued = cmp.Or(heard.Model, all[i].Model), heard.Continued
				}
			}
		}
	}
	last := &all[len(all)-1]
	last.Usage = last.Usage.Plus(t.Usage)
	if g.outlet.Load() != nil { // it ran here
		last.Model, last.Continued = t.Model, g.continued
	}
	t.Usage = nil
	for i := range all {
		t.Usage = t.Usage.Plus(all[i].Usage)
	}
	if len(all) > 1 {
		t.Attempts = all
	}
}

// handOver notes what an attempt has cost that others are to go on with. It is
// not worth more than one try.
func (g *generation) handOver(ctx context.Context, t *runnel.Turn, spent *runnel.Usage) {
	if spent == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	next := g.run
	next.Attempts = slices.Clone(before(&g.run))
	last := &next.Attempts[len(next.Attempts)-1]
	last.Model, last.Continued, last.Usage = t.Model, g.continued, spent
	if _, err := g.s.engine.PutRun(ctx, next); err != nil {
		g.s.log.WarnContext(ctx, "cannot note what an attempt has cost", "generation_id", g.prompt.Generation, "err", err)
	}
}

// before returns what is known of a run's attempts up to the last one.
func before(r *runnel.Run) []runnel.Attempt {
	if n := len(r.Attempts); r.Attempt == 0 || n > 0 && r.Attempts[n-1].Attempt == r.Attempt {
		return r.Attempts
	}
	return append(slices.Clip(r.Attempts), runnel.Attempt{Attempt: r.Attempt, Model: r.Model, StartedAt: r.Started})
}
