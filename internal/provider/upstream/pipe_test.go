package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

// piped runs test in a bubble. Each connection of its client is served by say,
// called for one request after the other with what writes to the client.
func piped(t *testing.T, say func(w io.Writer), test func(t *testing.T, c *upstream.Client, dials *int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, "http://acme")
		dials := 0
		c.DialWith(func(context.Context, string, string) (net.Conn, error) {
			dials++
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				for requests := bufio.NewReader(theirs); ; {
					r, err := http.ReadRequest(requests)
					if err != nil {
						return // the client has closed
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
					say(theirs)
				}
			}()
			return ours, nil
		})
		test(t, c, &dials)
		c.CloseIdle()
	})
}

func chunk(w io.Writer, text string) { _, _ = fmt.Fprintf(w, "%x\r\n%s\r\n", len(text), text) }

// TestEndComesLate has a server whose body ends a moment after its last frame:
// the connection is worth the wait.
func TestEndComesLate(t *testing.T) {
	t.Parallel()
	say := func(w io.Writer) {
		chunk(w, "data: a\n\ndata: end\n\n")
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(w, "0\r\n\r\n")
	}
	piped(t, say, func(t *testing.T, c *upstream.Client, dials *int) {
		for range 2 {
			if said, err := read(t.Context(), c); err != nil || strings.Join(said, " ") != "a end" {
				t.Errorf("got %q, %v", said, err)
			}
		}
		if *dials != 1 {
			t.Errorf("2 answers took %d connections, want 1", *dials)
		}
	})
}

// TestQuietAfterStop has a server that says that its model has stopped and then
// neither sends its last frame nor closes.
func TestQuietAfterStop(t *testing.T) {
	t.Parallel()
	say := func(w io.Writer) { chunk(w, "data: a\n\ndata: stopped\n\n") }
	piped(t, say, func(t *testing.T, c *upstream.Client, _ *int) {
		start := time.Now()
		said, err := read(t.Context(), c)
		if err != nil || strings.Join(said, " ") != "a stopped" {
			t.Errorf("got %q, %v, want the end that the model announced", said, err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("waited %v for the last frame, want 2s", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := read(ctx, c); !errors.Is(err, context.DeadlineExceeded) || runnel.KindOf(err) != runnel.Unavailable {
			t.Errorf("got %v when ctx ended while waiting, want its error", err)
		}
	})
}
