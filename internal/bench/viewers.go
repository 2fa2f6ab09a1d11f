package bench

import (
	"context"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel/internal/sse"
)

// connectors is how many viewers connect side by side.
const connectors = 32

// A viewer is a client that follows a session.
type viewer struct {
	*conn
	frames frameReader
}

// An opener has a connection follow a session.
type opener func(c *conn, base *url.URL, session string) (frameReader, error)

// openEvents follows a session by server-sent events.
func openEvents(c *conn, base *url.URL, session string) (frameReader, error) {
	resp, err := c.send(newRequest(base, http.MethodGet, "/v1/sessions/"+session+"/events", "Accept: text/event-stream\r\n", nil))
	if err != nil {
		return nil, err
	}
	return sse.NewReader(resp.Body, maxFrame), nil
}

// openViewers has n viewers follow sessions, the i-th that of sessionOf(i). When
// it returns each has the head of its stream. The caller closes them, also
// after an error.
//
// They need a file descriptor each, here and in the gateway; the Go runtime has
// raised the limit to what is allowed.
func openViewers(ctx context.Context, base *url.URL, n int, open opener, sessionOf func(i int) string) ([]*viewer, error) {
	viewers := make([]*viewer, n)
	g, ctx2 := errgroup.WithContext(ctx)
	g.SetLimit(connectors)
	for i := range viewers {
		g.Go(func() error {
			if ctx2.Err() != nil {
				return ctx2.Err() // another could not connect
			}
			c, err := dial(ctx, base) // ctx2 ends when all have connected
			if err != nil {
				return err
			}
			viewers[i] = &viewer{conn: c}
			viewers[i].frames, err = open(c, base, sessionOf(i))
			return err
		})
	}
	return viewers, g.Wait()
}

func closeViewers(viewers []*viewer) {
	for _, v := range viewers {
		if v != nil {
			_ = v.Close()
		}
	}
}
