package apigateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// Both spellings of a stage's URL are the same.
func TestItem1(t *testing.T) {
	t.Parallel()
	r := start(t, says(), apigateway.Config{})
	for _, path := range []string{"/dev", "/dev/", "/prod?x=1", "/prod/?x=1"} {
		r.connect(t, path)
	}
}

// The 101 comes after the handler of $connect.
func TestItem2(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	back := startBackend(t, func(w http.ResponseWriter, _ event) {
		<-release
		_, _ = io.WriteString(w, `{"statusCode":200}`)
	})
	r := start(t, says(), api("$connect", back.url))
	connected := make(chan struct{})
	go func() {
		defer close(connected)
		if c, resp := r.dial(t, "/dev", nil); c == nil {
			t.Errorf("refused: %s", resp.Status)
		}
	}()
	back.next(t, "CONNECT")
	select {
	case <-connected:
		t.Error("connected before the handler has answered")
	default:
	}
	if n := r.door.Len(); n != 0 {
		t.Errorf("%d connections before the handler has answered", n)
	}
	close(release)
	<-connected
}

// What the handler of $connect answers is the handshake's status.
func TestItem3(t *testing.T) {
	t.Parallel()
	for answer, status := range map[string]int{
		`{"statusCode":401}`:   401,
		`{"statusCode":"400"}`: 400,
		`{"statusCode":501}`:   501,
		`{"statusCode":301}`:   301,
	} {
		back := startBackend(t, answers(answer))
		start(t, says(), api("$connect", back.url)).refused(t, "/dev", status)
	}
	refusing := startBackend(t, func(w http.ResponseWriter, _ event) { w.WriteHeader(http.StatusForbidden) })
	start(t, says(), api("$connect", refusing.url)).refused(t, "/dev", 403)
}

// A handler of $connect that fails, or says what is no response, is 502; one
// that is late, 504.
func TestItem4(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`"hello"`, `{"body":"Connected."}`, `not JSON`, `{"statusCode":7}`} {
		back := startBackend(t, answers(answer))
		start(t, says(), api("$connect", back.url)).refused(t, "/dev", 502)
	}
	raising := startBackend(t, func(w http.ResponseWriter, _ event) {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_, _ = io.WriteString(w, `{"errorMessage":"KeyError"}`)
	})
	start(t, says(), api("$connect", raising.url)).refused(t, "/dev", 502)
	crashing := startBackend(t, func(http.ResponseWriter, event) { panic(http.ErrAbortHandler) })
	start(t, says(), api("$connect", crashing.url)).refused(t, "/dev", 502)

	done := make(chan struct{})
	late := startBackend(t, func(http.ResponseWriter, event) { <-done })
	t.Cleanup(func() { close(done) }) // before the backend waits for its handlers
	cfg := api("$connect", late.url)
	cfg.APIs[0].Routes[0].Timeout = 50 * time.Millisecond
	start(t, says(), cfg).refused(t, "/dev", 504)
}

// Only the handler of $connect chooses a subprotocol.
func TestItem16(t *testing.T) {
	t.Parallel()
	offer := &websocket.DialOptions{Subprotocols: []string{"a", "b"}}
	back := startBackend(t, answers(`{"statusCode":200,"headers":{"sec-websocket-PROTOCOL":"b","X-Other":"x"}}`))
	_, resp := start(t, says(), api("$connect", back.url)).dial(t, "/dev", offer)
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "b" || resp.Header.Get("X-Other") != "" {
		t.Errorf("got %v, want b alone", resp.Header)
	}
	if seen := back.next(t, "CONNECT").Headers["Sec-WebSocket-Protocol"]; seen != "a,b" {
		t.Errorf("the handler saw %q", seen)
	}
	_, resp = start(t, says(), apigateway.Config{}).dial(t, "/dev", offer)
	if _, there := resp.Header["Sec-Websocket-Protocol"]; there {
		t.Errorf("got %v although nobody chose", resp.Header)
	}
}

// Compression is not negotiated.
func TestItem17(t *testing.T) {
	t.Parallel()
	_, resp := start(t, says(), apigateway.Config{}).dial(t, "/dev", &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if _, there := resp.Header["Sec-Websocket-Extensions"]; there {
		t.Errorf("got %v", resp.Header)
	}
}

// A plain GET of a stage is told to upgrade, and one of another path that there
// is nothing.
func TestItem18(t *testing.T) {
	t.Parallel()
	r := start(t, says(), apigateway.Config{})
	for path, want := range map[string]int{"/dev": 426, "/dev/": 426, "/nope": 404} {
		if resp, body := r.do(t, "GET", path, ""); resp.StatusCode != want || resp.StatusCode == 426 && resp.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%s: got %s %v %s, want %d", path, resp.Status, resp.Header, body, want)
		}
	}
}

// A stage that does not exist is refused before anybody's handler runs.
func TestItem19(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(`{"statusCode":200}`))
	r := start(t, says(), api("$connect", back.url))
	if body := r.refused(t, "/nope", 403); body != `{"message":"Forbidden"}` {
		t.Errorf("got %s", body)
	}
	if len(back.events) != 0 {
		t.Error("the handler was asked")
	}
}

// More connections in a second than are allowed are refused.
func TestItem20(t *testing.T) {
	t.Parallel()
	r := start(t, says(), apigateway.Config{ConnectRate: 5})
	now := time.Now()
	apigateway.SetClock(r.door, func() time.Time { return now })
	for range 5 {
		r.connect(t, "/dev")
	}
	if body := r.refused(t, "/dev", 429); body != `{"message":"Too Many Requests"}` {
		t.Errorf("got %s", body)
	}
	apigateway.SetClock(r.door, func() time.Time { return now.Add(time.Second) })
	r.connect(t, "/dev")
}

// Pages of other sites are kept out, before the handler of $connect is asked.
func TestOrigin(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(`{"statusCode":200}`))
	r := start(t, says(), api("$connect", back.url))
	r.refused(t, "/dev", 403, "Origin", "https://evil.example")
	if len(back.events) != 0 {
		t.Error("the handler was asked")
	}
	if c, resp := r.dial(t, "/dev", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {r.url}}}); c == nil {
		t.Errorf("our own page is refused: %s", resp.Status)
	}
}

func TestBadHandshake(t *testing.T) {
	t.Parallel()
	r := start(t, says(), apigateway.Config{})
	for _, path := range []string{"/dev?sessionId=%0a", "/dev?sessionId=" + strings.Repeat("x", 300)} {
		r.refused(t, path, 400)
	}
	r.connect(t, "/dev?x="+strings.Repeat("x", 8<<10)) // a presigned URL may be that long
	// A connection of its own has a session of its own, which it is told.
	if _, resp := r.dial(t, "/dev", nil); len(resp.Header.Get("Runnel-Session")) != 26 {
		t.Errorf("got %v", resp.Header)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, apis := range [][]wsapi.API{
		{{Name: "a/b"}},
		{{Name: "a", Routes: []wsapi.Route{{Key: "x", Integration: wsapi.HTTP, URL: "http://localhost"}}}}, // nothing opens it
	} {
		if _, err := apigateway.New(nil, apigateway.Config{APIs: apis}); err == nil {
			t.Errorf("%+v is accepted", apis)
		}
	}
}

// An API with a host of its own may be reached without a stage.
func TestRootStage(t *testing.T) {
	t.Parallel()
	cfg := apigateway.Config{APIs: []wsapi.API{{Name: "own", Hosts: []string{"127.0.0.1"}, Stages: []string{"live"}, Root: "live"}}}
	r := start(t, says("hi"), cfg)
	for _, path := range []string{"/", "", "/live"} {
		r.connect(t, path).send(`{"action":"ping"}`)
	}
}
