package lambda

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// Config holds the settings of both doors. A zero field means the default beside it.
type Config struct {
	Functions *function.Set

	// Authenticate returns a context that carries the caller and ends with the
	// credentials, or an error of kind Unauthenticated, Denied or Unavailable. The
	// action is what an AWS signature must allow; body returns what it covers.
	Authenticate func(r *http.Request, action string, body func() ([]byte, error)) (context.Context, context.CancelFunc, error)

	BodyTimeout  time.Duration // for a request's body to arrive: 30 s
	WriteTimeout time.Duration // for a client to take a piece of an answer: 30 s
	Failed       func(runnel.Kind)
	Logger       *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	if c.BodyTimeout <= 0 {
		c.BodyTimeout = 30 * time.Second
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.Failed == nil {
		c.Failed = func(runnel.Kind) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "lambda")
	return c
}

// readBody reads the body of a request, of which at most so much is allowed.
func (c *Config) readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	// The deadline stays when the body did not come, for net/http looks for the
	// rest, but not for what follows.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(c.BodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, err
	}
	_ = rc.SetReadDeadline(time.Time{})
	return data, nil
}

// outlives returns a context that ends with ctx; but after the client has left,
// only when some time has passed.
func outlives(ctx context.Context, linger time.Duration) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); runnel.KindOf(cause) == runnel.Unauthenticated { // the credentials have ended
			cancel(cause)
			return
		}
		time.AfterFunc(linger, func() { cancel(errGone) })
	})
	return inner, func() {
		stop()
		cancel(nil)
	}
}

var errGone = runnel.Errorf(runnel.Cancelled, "the client has left")
