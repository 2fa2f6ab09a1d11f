package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestSocketOnAnotherNode posts through one node to a WebSocket that another one
// holds, and goes on when that one is killed: the answer is that the socket is
// gone, soon, and also after the node has come back.
func TestSocketOnAnotherNode(t *testing.T) {
	t.Parallel()
	nats := "--nats-url=" + startNATS(t).url
	a, b := newGateway(t, nats), newGateway(t, nats)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.url("/dev?sessionId=s"), "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow() //nolint:errcheck // its node has been killed
	if err := ws.Write(ctx, websocket.MessageText, []byte("who am I?")); err != nil {
		t.Fatal(err)
	}
	_, frame, err := ws.Read(ctx)
	var said struct{ ConnectionID string }
	if err == nil {
		err = json.Unmarshal(frame, &said)
	}
	if err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	path := "/dev/@connections/" + url.PathEscape(said.ConnectionID)
	post := func() (int, string) {
		t.Helper()
		resp, err := http.Post(a.url(path), "", strings.NewReader("from afar"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype")
	}
	if status, _ := post(); status != http.StatusOK {
		t.Fatalf("the post is answered with %d", status)
	}
	if _, frame, err := ws.Read(ctx); err != nil || string(frame) != "from afar" {
		t.Fatalf("the client got %s, %v", frame, err)
	}
	b.kill()
	begin := time.Now()
	status, errorType := post()
	if took := time.Since(begin); status != http.StatusGone || errorType != "GoneException" || took > 15*time.Second {
		t.Errorf("when its node is dead the post is answered with %d %s after %v", status, errorType, took)
	}
	b.start()
	if status, _ := post(); status != http.StatusGone {
		t.Errorf("when another process is in its place the post is answered with %d", status)
	}
}
