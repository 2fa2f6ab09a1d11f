package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
)

// A way is one on which answers are asked for.
type way struct {
	name    string
	base    *url.URL
	between *process // what is between here and the model server; nil: nothing
	ask     func(prompt string) request
}

// openAIWay leads to a model server, or to what looks like one.
func openAIWay(name string, base *url.URL, between *process) *way {
	return &way{name: name, base: base, between: between, ask: func(prompt string) request {
		return newRequest(base, http.MethodPost, "/v1/chat/completions", "", map[string]any{
			"model": "bench", "stream": true,
			"messages": []map[string]string{{"role": "user", "content": prompt}},
		})
	}}
}

// gatewayWay leads through a gateway. Every question is a session of its own.
func (s *suite) gatewayWay(name string, gateway *process) *way {
	return &way{name: name, base: gateway.url, between: gateway, ask: func(prompt string) request {
		return newPrompt(gateway.url, s.freshSession(), prompt, true)
	}}
}

// newPrompt returns a request to submit a prompt, whose answer is the receipt
// or the stream.
func newPrompt(base *url.URL, session, prompt string, stream bool) request {
	header := ""
	if stream {
		header = "Accept: text/event-stream\r\n"
	}
	return newRequest(base, http.MethodPost, "/v1/sessions/"+session+"/prompts", header, map[string]string{"prompt": prompt})
}

// An answer is how a model server is to answer. Its first token comes at once:
// a timer is late by up to a millisecond, which would be taken for something that
// is added on the way.
type answer struct {
	tps    float64
	tokens int
}

// prompt returns a question to which that is the answer, with stamps.
func (a answer) prompt() string {
	return fmt.Sprintf("Tell me a story. [[tps=%g tokens=%d stamp=1]]", a.tps, a.tokens)
}

// length is how long the answer takes.
func (a answer) length() time.Duration {
	return time.Duration(float64(a.tokens-1) / a.tps * float64(time.Second))
}

// each runs f for n streams side by side, each with a connection. They start
// evenly over the given time, so that their tokens are not due at the same
// moments.
func (w *way) each(ctx context.Context, n int, spread time.Duration, f func(i int, c *conn) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			if err := pause(ctx, spread*time.Duration(i)/time.Duration(n)); err != nil {
				return err
			}
			c, err := dial(ctx, w.base)
			if err != nil {
				return err
			}
			defer c.Close()
			return f(i, c)
		})
	}
	return g.Wait()
}

// pause waits, unless ctx is done first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
