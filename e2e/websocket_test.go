package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"

	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/runnelhq/runnel/internal/wsconn/wstest"
)

// TestWebSocketConformance holds the door of WebSocket APIs to RFC 6455. It has
// no echo, but a message that no route takes has one answer, too.
func TestWebSocketConformance(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "--websocket-connect-rate", "0", "--dev-tls")
	for name, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", g.addr) },
		"tls": func() (net.Conn, error) {
			return tls.Dial("tcp", g.addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // made for this run
		},
	} {
		t.Run(name, func(t *testing.T) {
			wstest.Run(t, wstest.Door{Dial: dial, Target: "/dev", Answer: func(_, got string) error {
				if !strings.HasPrefix(got, `{"message": "Forbidden", "connectionId":"`) {
					return fmt.Errorf("got %.200q", got)
				}
				return nil
			}})
		})
	}
}

// A socket is a bare WebSocket client.
type socket struct {
	net.Conn
	in *bufio.Reader
}

// dialSocket returns the status of the handshake, and a socket if it is 101.
func dialSocket(addr, target string, header ...string) (*socket, int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: "+addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+strings.Join(append(header, "\r\n"), "\r\n"))
	s := &socket{Conn: conn, in: bufio.NewReader(conn)}
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(s.in, nil)
	}
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.Close()
		if err != nil {
			return nil, 0, err
		}
		return nil, resp.StatusCode, nil
	}
	return s, resp.StatusCode, nil
}

// say sends a text message of less than 64 KiB, with a mask of zeros.
func (s *socket) say(text string) error {
	frame := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		frame = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	_, err := s.Write(append(append(frame, 0, 0, 0, 0), text...))
	return err
}

// hear reads a frame.
func (s *socket) hear() (op byte, payload []byte, err error) {
	head := make([]byte, 2, 10)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return 0, nil, err
	}
	n := int(head[1])
	if size := map[int]int{126: 2, 127: 8}[n]; size > 0 {
		wide := head[2 : 2+size]
		if _, err := io.ReadFull(s.in, wide); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, b := range wide {
			n = n<<8 | int(b)
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.in, payload)
	return head[0] & 0xf, payload, err
}

// id asks the gateway what it calls the connection.
func (s *socket) id() (string, error) {
	if err := s.say("?"); err != nil {
		return "", err
	}
	_, answer, err := s.hear()
	if err != nil {
		return "", err
	}
	var about struct{ ConnectionID string }
	err = json.Unmarshal(answer, &about)
	return about.ConnectionID, err
}

// gauges reads some of the gateway's metrics. It leaves no connection behind.
func (g *gateway) gauges(names ...string) ([]int, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(g.url("/metrics"))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	values := make([]int, len(names))
	for i, name := range names {
		_, rest, found := bytes.Cut(text, []byte("\n"+name+" "))
		if _, err := fmt.Sscan(string(rest), &values[i]); err != nil || !found {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
	}
	return values, nil
}

// TestAbruptClients has ten thousand clients come, 500 a second, and go without a
// word: nothing of them may stay, not even in the list of connections, which is
// kept by a NATS server that the test can look into.
func TestAbruptClients(t *testing.T) {
	t.Parallel()
	const clients, rate = 10_000, 500
	stream := startNATS(t)
	g := newGateway(t, "--nats-url", stream.url, "--websocket-connect-rate", "0")
	const goroutines, descriptors, readers = "go_goroutines", "process_open_fds", `runnel_readers{transport="apigateway"}`
	first, status, err := dialSocket(g.addr, "/dev?sessionId=first") // what is there once is not counted
	if err != nil || first == nil {
		t.Fatalf("status %d, %v", status, err)
	}
	if n := stream.messages(t); n != 1 {
		t.Errorf("%d connections are listed; the list is not where this test looks", n)
	}
	_ = first.Close()
	var before []int
	steady := func() bool {
		now, err := g.gauges(goroutines, descriptors, readers)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { before = now }()
		return before != nil && now[0] == before[0] && now[1] == before[1] && now[2] == 0
	}
	waitUntil(t, "the gateway to come to rest", steady)

	turns := make(chan int)
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range turns {
				if err := leave(g.addr, i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for i := range clients {
		if i%(rate/20) == 0 {
			<-tick.C
		}
		turns <- i
	}
	close(turns)
	all.Wait()
	t.Logf("%d clients came and went in %v", clients, time.Since(begin).Round(time.Millisecond))
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	var now []int
	waitUntil(t, "all to be gone", func() bool {
		var err error
		if now, err = g.gauges(goroutines, descriptors, readers); err != nil {
			t.Fatal(err)
		}
		// A handful of goroutines come and go with the engine's own work.
		return now[0] <= before[0]+5 && now[1] <= before[1]+2 && now[2] == 0
	}, func() string { return fmt.Sprintf("goroutines, descriptors, readers: %d before, %d now", before, now) })
	waitUntil(t, "the list to be empty", func() bool { return stream.messages(t) == 0 })
}

// leave connects a client and lets it disappear, in one of several ways.
func leave(addr string, i int) error {
	s, status, err := dialSocket(addr, fmt.Sprintf("/dev?sessionId=s%d", i%100))
	if err != nil || s == nil {
		return fmt.Errorf("client %d: status %d, %w", i, status, err)
	}
	defer s.Close()
	switch i % 4 {
	case 0: // between two frames
	case 1: // with a reset
		return s.Conn.(*net.TCPConn).SetLinger(0)
	case 2: // within a frame
		_, _ = s.Write([]byte{0x81, 0xfe, 0x7f})
	case 3: // with an answer under way
		_ = s.say("?")
	}
	return nil
}

// waitUntil returns when cond holds.
func waitUntil(t *testing.T, what string, cond func() bool, about ...func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			for _, f := range about {
				what += "; " + f()
			}
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// A natsStream is the list of connections on a NATS server of the test's.
type natsStream struct {
	url string
	js  jetstream.JetStream
}

func startNATS(t *testing.T) *natsStream {
	t.Helper()
	server, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	if !server.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	conn, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &natsStream{server.ClientURL(), js}
}

func (s *natsStream) messages(t *testing.T) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := s.js.Stream(ctx, "RUNNEL_CONNECTIONS")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// TestClientStopsReading posts to a client that does not read: posts are refused
// once its queue is full, it is cut off with a code that it finds should it read
// on, and another client gets all that is posted to it.
func TestClientStopsReading(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "--write-timeout", "15s")
	stuck, stuckURL := g.openSocket(t)
	other, otherURL := g.openSocket(t)
	body := strings.Repeat("x", 100<<10)
	statuses := make(map[int]int)
	for i := range 10_000 {
		status := postTo(t, stuckURL, body)
		statuses[status]++
		note := fmt.Sprint(i)
		if status := postTo(t, otherURL, note); status != http.StatusOK {
			t.Fatalf("a post to the other client: %d", status)
		}
		if _, got, err := other.hear(); err != nil || string(got) != note {
			t.Fatalf("the other client got %q, %v", got, err)
		}
		if status == http.StatusGone {
			break
		}
	}
	// Two megabytes are what the queue and two kernels can hold; more were not taken.
	if statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusOK] > 100 || statuses[http.StatusGone] != 1 || len(statuses) != 3 {
		t.Errorf("posts to a client that does not read: %v", statuses)
	}
	for whole := 0; ; whole++ {
		op, payload, err := stuck.hear()
		if err != nil {
			t.Fatalf("after %d messages: %v", whole, err)
		}
		if op == 8 {
			if string(payload) != "\x03\xf5too slow" {
				t.Errorf("closed with %q", payload)
			}
			break
		}
		if string(payload) != body {
			t.Errorf("message %d has %d bytes", whole, len(payload))
		}
	}
}

// openSocket returns a client and where to post to it.
func (g *gateway) openSocket(t *testing.T) (*socket, string) {
	t.Helper()
	s, status, err := dialSocket(g.addr, "/dev")
	if err != nil || s == nil {
		t.Fatalf("status %d, %v", status, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	id, err := s.id()
	if err != nil {
		t.Fatal(err)
	}
	return s, g.url("/dev/@connections/" + url.PathEscape(id))
}

func postTo(t *testing.T, to, body string) int {
	t.Helper()
	resp, err := http.Post(to, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}
