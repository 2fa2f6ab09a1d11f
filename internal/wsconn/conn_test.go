package wsconn_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/wsconn"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, echo)
	ws := r.dial(t, &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}, CompressionMode: websocket.CompressionContextTakeover})
	if ws.Subprotocol() != "graphql-ws" {
		t.Errorf("the subprotocol is %q", ws.Subprotocol())
	}
	for _, size := range []int{0, 1, 125, 126, 250, 256, 257, 1000, 4096, 5000, 65535, 65536, 128 << 10} {
		want := strings.Repeat("é", size/2) + strings.Repeat("x", size%2)
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		typ, got, err := ws.Read(t.Context())
		if err != nil || typ != websocket.MessageText || string(got) != want {
			t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = ws.CloseRead(ctx)
	if err := ws.Ping(ctx); err != nil {
		t.Error(err)
	}
	if err := ws.Close(4321, "bye"); err != nil {
		t.Error(err)
	}
	got := <-r.ended
	if got.Code != 4321 || got.Reason != "bye" || !got.Remote {
		t.Errorf("ended with %+v", got)
	}
}

func TestCloseByDoor(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, func(c *wsconn.Conn, msg []byte) {
		_ = c.Send(wsconn.AppendText(nil, []byte("last")))
		c.Close(4403, "no "+string(msg))
		c.Close(1000, "again")
		if err := c.Send(msg); err != wsconn.ErrClosed {
			t.Errorf("Send after Close: %v", err)
		}
		if c.Context().Err() == nil {
			t.Error("the context has not ended")
		}
	})
	ws := r.dial(t, nil)
	_ = ws.Write(t.Context(), websocket.MessageText, []byte("entry"))
	if _, got, err := ws.Read(t.Context()); err != nil || string(got) != "last" {
		t.Fatalf("got %q, %v", got, err)
	}
	_, _, err := ws.Read(t.Context())
	if websocket.CloseStatus(err) != 4403 || !strings.Contains(err.Error(), "no entry") {
		t.Errorf("got %v", err)
	}
	if got := <-r.ended; got.Code != 4403 || got.Remote {
		t.Errorf("ended with %+v", got)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, echo)
	var all []*websocket.Conn
	for range 50 {
		all = append(all, r.dial(t, nil))
	}
	codes := make(chan websocket.StatusCode, len(all))
	for _, ws := range all {
		go func() {
			_, _, err := ws.Read(context.Background())
			codes <- websocket.CloseStatus(err)
		}()
	}
	r.end(t)
	for range all {
		if code := <-codes; code != 1001 {
			t.Errorf("closed with %d", code)
		}
	}
	if _, resp, err := websocket.Dial(t.Context(), "ws://"+r.ln.Addr().String(), nil); err == nil || resp == nil || resp.StatusCode != 403 {
		t.Errorf("a client that comes too late: %v", err)
	}
}
