package apigateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/runnelhq/runnel/internal/transport/apigateway"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// connected returns a client, and the path by which it is managed.
func (r *rig) connected(t *testing.T, back *backend) (c *client, path string) {
	t.Helper()
	c = r.connect(t, "/dev")
	c.send("who am I?")
	return c, "/dev/@connections/" + strings.ReplaceAll(back.next(t, "MESSAGE").Context.ConnectionID, "=", "%3D")
}

func managed(t *testing.T) (*rig, *backend) {
	t.Helper()
	back := startBackend(t, answers(ok))
	return start(t, says(), api("$default", back.url)), back
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Items 44 to 57 with the SDKs themselves are in make interop.
func TestItem44(t *testing.T) {
	t.Parallel()
	r, back := managed(t)
	c, path := r.connected(t, back)
	for _, data := range []string{"hello", `"H\u00e9"`, "", "é 😀 \x00", strings.Repeat("x", 131_072)} {
		resp, body := r.do(t, "POST", path, data)
		if resp.StatusCode != 200 || body != "" || !uuid.MatchString(resp.Header.Get("x-amzn-RequestId")) {
			t.Fatalf("%.20q: %s %v %q", data, resp.Status, resp.Header, body)
		}
		c.expect(data)
	}
	resp, body := r.do(t, "POST", path, "\xff")
	if resp.StatusCode != 400 || resp.Header.Get("x-amzn-ErrorType") != "BadRequestException" {
		t.Errorf("what is no text: %s %s", resp.Status, body)
	}
	c.expectSilence()
}

// Paths as SDKs and people spell them. The port makes one slash of several.
func TestItem46(t *testing.T) {
	t.Parallel()
	r, back := managed(t)
	c, path := r.connected(t, back)
	id := path[strings.LastIndex(path, "/")+1:]
	for i, spelt := range []string{
		path, "/dev/%40connections/" + id, "/dev/@connections/" + strings.ReplaceAll(id, "%3D", "="), "/@connections/" + id,
	} {
		if resp, body := r.do(t, "POST", spelt, strconv.Itoa(i)); resp.StatusCode != 200 {
			t.Errorf("%s: %s %s", spelt, resp.Status, body)
			continue
		}
		c.expect(strconv.Itoa(i))
	}
	for spelt, want := range map[string]int{"/prod/@connections/" + id: 410, "/nope/@connections/" + id: 403} {
		if resp, _ := r.do(t, "POST", spelt, "x"); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", spelt, resp.Status, want)
		}
	}
	c.expectSilence()
}

// gone insists on the answer for a connection that is not there.
func (r *rig) gone(t *testing.T, method, path string) {
	t.Helper()
	resp, body := r.do(t, method, path, "")
	if resp.StatusCode != 410 || resp.Header.Get("x-amzn-ErrorType") != "GoneException" || body != "" || resp.ContentLength != 0 {
		t.Errorf("%s %s: %s %v %q", method, path, resp.Status, resp.Header, body)
	}
}

func TestItem47(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$default", back.url, "$disconnect", back.url))
	c, path := r.connected(t, back)
	_ = c.ws.CloseNow()
	back.next(t, "DISCONNECT")
	for _, method := range []string{"POST", "GET", "DELETE"} {
		r.gone(t, method, path)
		r.gone(t, method, "/dev/@connections/L0SM9cOFvHcCIhw=") // of another world
	}
}

func TestItem48(t *testing.T) {
	t.Parallel()
	r, _ := managed(t)
	for _, id := range []string{"nonsense", "L0SM9cOFvHcCIhw", "L0SM9cOFvHcCIhwAAAA=", "L0SM9cOFvHcCI%22w="} {
		resp, body := r.do(t, "POST", "/dev/@connections/"+id, "x")
		plain := strings.ReplaceAll(id, "%22", `"`)
		var said errorFrame
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if resp.StatusCode != 400 || resp.Header.Get("x-amzn-ErrorType") != "BadRequestException" ||
			said.Message != "Invalid connectionId: "+plain || said.ConnectionID != plain || said.RequestID != resp.Header.Get("x-amzn-RequestId") {
			t.Errorf("%s: %s %v %s", id, resp.Status, resp.Header, body)
		}
	}
}

// Within the handler of $connect the connection is not there yet.
func TestItem49(t *testing.T) {
	t.Parallel()
	var r *rig
	status := make(chan int, 1)
	back := startBackend(t, func(w http.ResponseWriter, ev event) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/dev/@connections/"+ev.Context.ConnectionID, strings.NewReader("x"))
		if err == nil {
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
				status <- resp.StatusCode
			}
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, ok)
	})
	r = start(t, says(), api("$connect", back.url))
	r.connect(t, "/dev").expectSilence()
	if got := <-status; got != 410 {
		t.Errorf("the post within $connect: %d", got)
	}
}

func TestItem50(t *testing.T) {
	t.Parallel()
	r, back := managed(t)
	c, path := r.connected(t, back)
	resp, body := r.do(t, "POST", path, strings.Repeat("x", 131_073))
	if resp.StatusCode != 413 || resp.Header.Get("x-amzn-ErrorType") != "PayloadTooLargeException" || !strings.HasPrefix(body, `{"message":"`) {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}
	c.expectSilence()
}

// A client that does not read has posts refused, and once it reads they go on.
func TestItem51(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	cfg := api("$default", back.url)
	cfg.Conns = wsconn.Config{MaxQueue: 256 << 10}
	r := start(t, says(), cfg)
	c, path := r.connected(t, back)
	posted := 0
	for block := strings.Repeat("x", 100<<10); ; posted++ {
		resp, body := r.do(t, "POST", path, fmt.Sprintf("%06d", posted)+block)
		if resp.StatusCode == 429 {
			if resp.Header.Get("x-amzn-ErrorType") != "LimitExceededException" || !strings.HasPrefix(body, `{"message":"`) {
				t.Errorf("%v %s", resp.Header, body)
			}
			break
		}
		if resp.StatusCode != 200 || posted > 1000 {
			t.Fatalf("post %d: %s %s", posted, resp.Status, body)
		}
	}
	for i := range posted {
		if got := c.read(); !strings.HasPrefix(got, fmt.Sprintf("%06d", i)) {
			t.Fatalf("frame %d begins with %s", i, got[:6])
		}
	}
	if resp, body := r.do(t, "POST", path, "again"); resp.StatusCode != 200 {
		t.Fatalf("the retry: %s %s", resp.Status, body)
	}
	c.expect("again")
}

func TestItem52(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Second)
	back := startBackend(t, answers(ok))
	r := start(t, says(), api("$default", back.url))
	c, _ := r.dial(t, "/dev", &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {"me"}}})
	c.send("who am I?")
	resp, body := r.do(t, "GET", "/dev/@connections/"+back.next(t, "MESSAGE").Context.ConnectionID, "")
	var about struct {
		ConnectedAt, LastActiveAt time.Time
		Identity                  struct{ SourceIP, UserAgent string }
	}
	if err := json.Unmarshal([]byte(body), &about); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %v", body, err)
	}
	if about.ConnectedAt.Before(before) || about.LastActiveAt.Before(about.ConnectedAt.Add(-time.Second)) || !strings.Contains(body, `Z"`) ||
		about.Identity.SourceIP != "127.0.0.1" || about.Identity.UserAgent != "me" {
		t.Errorf("got %s", body)
	}
}

func TestItem53(t *testing.T) {
	t.Parallel()
	r, back := managed(t)
	c, path := r.connected(t, back)
	if resp, body := r.do(t, "DELETE", path, ""); resp.StatusCode != 204 || body != "" {
		t.Errorf("%s %s", resp.Status, body)
	}
	r.gone(t, "DELETE", path)
	r.gone(t, "POST", path)
	c.expectClose(websocket.StatusNormalClosure, "Connection Closed Normally")
}

func TestItem55(t *testing.T) {
	t.Parallel()
	r, back := managed(t)
	c, path := r.connected(t, back)
	const n = 500
	for i := range n {
		if resp, body := r.do(t, "POST", path, strconv.Itoa(i)); resp.StatusCode != 200 {
			t.Fatalf("post %d: %s %s", i, resp.Status, body)
		}
	}
	for i := range n {
		c.expect(strconv.Itoa(i))
	}
}

// Two nodes of one log: make e2e has two processes, one of which is killed.
func TestItem56(t *testing.T) {
	t.Parallel()
	back := startBackend(t, answers(ok))
	b := start(t, says(), api("$default", back.url))
	a := &rig{engine: b.engine, core: b.core}
	a.serve(t, api("$default", back.url))
	c, path := b.connected(t, back)
	for deadline := time.Now().Add(patience); ; { // b may not listen yet
		resp, body := a.do(t, "POST", path, "from afar")
		if resp.StatusCode == 200 {
			break
		}
		if resp.StatusCode != 410 || time.Now().After(deadline) {
			t.Fatalf("%s %s", resp.Status, body)
		}
	}
	c.expect("from afar")
	if resp, body := a.do(t, "GET", path, ""); resp.StatusCode != 200 || !strings.Contains(body, `"sourceIp":"127.0.0.1"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	if resp, _ := a.do(t, "POST", strings.Replace(path, "dev", "prod", 1), "x"); resp.StatusCode != 410 {
		t.Errorf("another stage: %s", resp.Status)
	}
	if resp, _ := a.do(t, "DELETE", path, ""); resp.StatusCode != 204 {
		t.Errorf("delete: %s", resp.Status)
	}
	c.expectClose(websocket.StatusNormalClosure, "")
	a.gone(t, "POST", path)
}

// FuzzParseResponse: whatever a handler answers is a response with a status, or
// an error.
func FuzzParseResponse(f *testing.F) {
	for _, seed := range []string{
		`{"statusCode":200}`, `{"statusCode":"200","headers":{"a":1},"body":"x"}`, `{"statusCode":200.5}`, `{"statusCode":null}`, `null`, `[]`, `"x"`, ``,
		`{"statusCode":200,"body":{}}`, `{"statusCode":"\"200\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := apigateway.ParseResponse(data); err == nil && (r.StatusCode < 100 || r.StatusCode > 599) {
			t.Fatalf("%q: %+v", data, r)
		}
	})
}
