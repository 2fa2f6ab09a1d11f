package limit

import (
	"context"
	"sync"

	"github.com/runnelhq/runnel"
)

const (
	// bytesPerToken is what a token of a prompt is taken for until the model has
	// counted.
	bytesPerToken = 4
	// answerTokens are set aside for an answer whose length the prompt does not
	// limit.
	answerTokens = 1024
)

// Limited reports whether p has limits that [Limiter.Admit] looks at.
func (l *Limiter) Limited(p *runnel.Principal) bool {
	if l.None() {
		return false
	}
	limits := l.config.Load().of(p)
	return limits.Generations > 0 || limits.Prompts > 0 || limits.Tokens > 0 || limits.MaxPrompt > 0
}

// Admit admits a prompt of p with so many bytes of text: it is not too long, is
// not one generation too many, of which active returns how many are under way,
// and is counted in prompt.Reserved. The caller stores it and calls done, once or more often: with
// false if it is sure that the prompt is not stored, which is then not counted.
//
// The error is an [*Error] of kind Limited or Invalid, ctx's, that of active, or
// of kind Unavailable if the counters do not answer; nothing is counted then.
func (l *Limiter) Admit(
	ctx context.Context, p *runnel.Principal, prompt *runnel.Prompt, size int, active func(context.Context) (int, error),
) (done func(stored bool), err error) {
	limits := l.config.Load().of(p)
	if limits.MaxPrompt > 0 && int64(size) > int64(limits.MaxPrompt) {
		return nil, l.tooLarge(p, Prompt, limits.MaxPrompt, "the prompt has %d bytes; the limit is %d", size, limits.MaxPrompt)
	}
	release, err := l.generation(ctx, p, limits, active)
	if err != nil {
		return nil, err
	}
	r, err := l.reserve(ctx, p, limits, estimate(prompt, size))
	if err != nil {
		release()
		return nil, err
	}
	prompt.Reserved = r
	var once sync.Once
	return func(stored bool) {
		once.Do(func() {
			if !stored && r != nil {
				// It fails for want of a counter: p has a little less today.
				_ = l.undo(ctx, accountOf(p), r)
			}
			release()
		})
	}, nil
}

// estimate returns how many tokens a prompt is thought to cost.
func estimate(p *runnel.Prompt, size int) int64 {
	tokens := int64(size) / bytesPerToken
	if p.MaxTokens > 0 {
		return tokens + int64(p.MaxTokens)
	}
	return tokens + answerTokens
}

// usedIn returns how many tokens a generation took: as its model has counted, in
// all attempts, and, if the model did not come to that in the last one, an
// estimate of what was said.
func usedIn(t *runnel.Turn) int64 {
	counted, used := t.Usage, int64(0)
	if u := t.Usage; u != nil {
		used = int64(u.InputTokens) + int64(u.OutputTokens)
	}
	if last := len(t.Attempts) - 1; last >= 0 {
		counted = t.Attempts[last].Usage
	}
	if counted != nil {
		return used
	}
	said := len(t.Text) + len(t.Reasoning)
	if said == 0 {
		return used
	}
	for _, m := range t.Prompt {
		for _, part := range m.Parts {
			said += len(part.Text)
		}
	}
	return used + int64(said)/bytesPerToken
}
