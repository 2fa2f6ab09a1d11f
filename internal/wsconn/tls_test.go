package wsconn_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/wsconn"
	"github.com/runnelhq/runnel/internal/wsconn/wstest"
)

// TestTLS holds a connection over TLS to the same rules: it is read with
// deadlines that fire, half-closed, and cut.
func TestTLS(t *testing.T) {
	t.Parallel()
	conns := wsconn.NewConns(wsconn.Config{Beat: 10 * time.Millisecond, BeatFrames: []byte{}})
	opened := make(chan *wsconn.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := conns.Serve(w, req, func(c *wsconn.Conn) {
			if req.URL.Path == "/held" {
				opened <- c
			}
			for {
				msg, err := c.Read()
				if err != nil {
					return
				}
				echo(c, msg)
			}
		}); err != nil {
			t.Error(err)
		}
	}))
	trust := srv.Client().Transport.(*http.Transport).TLSClientConfig
	addr := srv.Listener.Addr().String()
	t.Cleanup(func() {
		if err := conns.End(context.Background()); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	ws, _, err := websocket.Dial(t.Context(), "wss://"+addr+"/held", &websocket.DialOptions{HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	c := <-opened
	want := strings.Repeat("x", 30<<10)
	for range 20 {
		if err := c.Write(t.Context(), frame(want)); err != nil {
			t.Fatal(err)
		}
		if _, msg, err := ws.Read(t.Context()); err != nil || string(msg) != want {
			t.Fatalf("got %d bytes, %v", len(msg), err)
		}
	}
	if err := ws.Close(1000, ""); err != nil {
		t.Error(err)
	}
	t.Run("conformance", func(t *testing.T) {
		wstest.Run(t, wstest.Door{Dial: func() (net.Conn, error) { return tls.Dial("tcp", addr, trust) }})
	})
}
