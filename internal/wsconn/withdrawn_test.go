package wsconn_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// A client whose credentials end is told so, and is gone within a second or so
// even if it does not read.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	end, withdraw := context.WithCancelCause(context.Background())
	defer withdraw(nil)
	cfg := wsconn.Config{
		Bind: func(ctx context.Context, p *runnel.Principal) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(runnel.WithPrincipal(ctx, p))
			stop := context.AfterFunc(end, func() { cancel(context.Cause(end)) })
			return ctx, func() { stop(); cancel(nil) }
		},
		Farewell: func(_ *wsconn.Conn, err error) ([]byte, int, string) {
			code, reason := wsconn.CloseCode(err)
			return wsconn.AppendText(nil, []byte("sorry")), code, reason
		},
	}
	flooded := make(chan struct{})
	r := start(t, listen(t), cfg, func(c *wsconn.Conn, msg []byte) {
		frame := wsconn.AppendText(nil, make([]byte, 10<<10))
		for c.Send(frame) == nil {
		}
		close(flooded)
	})
	waiting := r.dial(t, nil)
	stuck, in := r.raw(t)
	_, _ = stuck.Write([]byte{0x81, 0x80, 0, 0, 0, 0})
	<-flooded

	begin := time.Now()
	withdraw(runnel.Errorf(runnel.Unauthenticated, "no longer"))
	if _, msg, err := waiting.Read(t.Context()); err != nil || string(msg) != "sorry" {
		t.Errorf("got %q, %v", msg, err)
	}
	if _, _, err := waiting.Read(t.Context()); websocket.CloseStatus(err) != 4401 {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if got := <-r.ended; got.Code != 4401 || got.Reason != "no longer" || runnel.KindOf(got) != runnel.Unauthenticated {
			t.Errorf("ended with %+v", got)
		}
	}
	waitFor(t, "the connections to go", func() bool { return r.conns.Len() == 0 })
	if took := time.Since(begin); took < time.Second {
		t.Errorf("the client that does not read was let go after %v", took)
	}
	// What it had not read is gone, beyond what kernels hold.
	if rest, _ := io.ReadAll(in); len(rest) > 500<<10 {
		t.Errorf("it could still read %d bytes", len(rest))
	}
}
