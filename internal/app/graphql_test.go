package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

// A page is what a client of AppSync shows of a session, over many sockets.
type page struct {
	t        *testing.T
	messages []string
}

// watch reads from a node until the answer or the socket ends, and calls came, if
// it is not nil, when some of it has come.
func (p *page) watch(ctx context.Context, addr string, came func()) {
	p.t.Helper()
	ws, _, err := websocket.Dial(ctx, "ws://"+addr+"/graphql/realtime", &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
	if err != nil {
		p.t.Error(err)
		return
	}
	defer func() { _ = ws.CloseNow() }()
	query := `{"query":"subscription { onSendMessage(sessionId: \"s\") { message } }"}`
	start := fmt.Sprintf(`{"id":"11111111-1111-1111-1111-111111111111","type":"start","payload":{"data":%q,"extensions":{"authorization":{}}}}`, query)
	for _, frame := range []string{`{"type":"connection_init"}`, start} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			p.t.Error(err)
			return
		}
	}
	for !slices.Contains(p.messages, "#END_STREAM#") {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				p.t.Errorf("after %q: %v", p.messages, err)
			}
			return
		}
		var f struct {
			Type    string
			Payload struct {
				Data struct{ OnSendMessage struct{ Message string } }
			}
		}
		if err := json.Unmarshal(frame, &f); err != nil {
			p.t.Errorf("%s: %v", frame, err)
		}
		if f.Type == "data" {
			p.messages = append(p.messages, f.Payload.Data.OnSendMessage.Message)
			if came != nil && len(p.messages) > 4 {
				came()
			}
		}
	}
}

// A client of AppSync goes on at another node of a cluster when its own stops in the
// middle of the answer.
func TestGraphQLGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := settings(t, "echo?ttft=0s&tps=100&tokens=500")
	cfg.NATSURL = []string{natsServer(t)}
	cfg.DrainTimeout = time.Millisecond
	one, _ := start(t, cfg)
	two, _ := start(t, cfg)
	defer stop(t, two)
	c, err := client.New("http://" + two.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Submit(ctx, "s", client.Prompt{Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t}
	came, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		p.watch(ctx, one.Addr().String(), sync.OnceFunc(func() { close(came) }))
	}()
	select {
	case <-came:
	case <-gone:
	}
	stop(t, one)
	<-gone
	before := len(p.messages)
	p.watch(ctx, two.Addr().String(), nil)

	var answer client.Answer
	for ev, err := range c.Follow(ctx, receipt) {
		if err != nil {
			t.Fatal(err)
		}
		answer.Apply(ev)
	}
	if n := len(p.messages); answer.State != runnel.Done || n <= before || p.messages[0] != "#START_STREAM#" || p.messages[n-1] != "#END_STREAM#" {
		t.Fatalf("%s: got %q", answer.State, p.messages)
	}
	if got := strings.Join(p.messages[1:len(p.messages)-1], ""); got != answer.Text() {
		t.Errorf("got %q, want %q", got, answer.Text())
	}
}
