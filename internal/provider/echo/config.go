package echo

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/prefill"
	"github.com/runnelhq/runnel/internal/provider/settings"
)

// Config says how an echo behaves. The zero value gives the whole answer at once.
type Config struct {
	TTFT      time.Duration // the wait before the first token
	TPS       float64       // tokens per second after it; 0: no pacing
	Tokens    int           // the exact length of the text; 0: what the answer needs
	Reasoning int           // tokens of reasoning before the text
	Tool      bool          // end with a tool call
	Fail      bool          // end with an Unavailable error, after
	FailAfter int           // so many tokens
	Prefill   bool          // go on with the beginning of an answer
}

// Open returns the echo with the given settings on top of a pleasant pace. It
// has one model only, so model is empty.
func Open(model string, values url.Values) (runnel.Provider, error) {
	if model != "" {
		return nil, runnel.Errorf(runnel.Invalid, "echo has no models to choose from, so nothing like %.40q", model)
	}
	cfg := Config{TTFT: 150 * time.Millisecond, TPS: 40, Prefill: prefill.Known("echo", model)}
	s := settings.Read("echo", values)
	s.Duration("ttft", &cfg.TTFT)
	s.Rate("tps", &cfg.TPS)
	s.Count("tokens", &cfg.Tokens)
	s.Count("reasoning", &cfg.Reasoning)
	s.Bool("tool", &cfg.Tool)
	s.Bool("prefill", &cfg.Prefill)
	s.Func("fail", "after:N", func(v string) bool {
		after, ok := strings.CutPrefix(v, "after:")
		n, err := strconv.Atoi(after)
		cfg.Fail, cfg.FailAfter = true, n
		return ok && err == nil && n >= 0
	})
	if err := s.Done(); err != nil {
		return nil, err
	}
	return New(cfg), nil
}
