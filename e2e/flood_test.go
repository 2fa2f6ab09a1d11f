package e2e_test

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// atOnce calls f for 0 to n-1, some at a time.
func atOnce(n, workers int, f func(i int)) {
	work := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range work {
				f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
}

func dial(t *testing.T, g *gateway) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestAttackSlowly sends heads and bodies a byte at a time, for as long as the
// gateway listens. It must not be for ever.
func TestAttackSlowly(t *testing.T) {
	t.Parallel()
	f := newFortress(t, "--header-timeout", "500ms", "--body-timeout", "500ms", "--idle-timeout", "500ms", "--dev-tls")
	begun := map[string]string{
		"head":      "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"body":      "POST /v1/sessions/slow/prompts HTTP/1.1\r\nHost: a\r\nX-Api-Key: " + f.service + "\r\nContent-Length: 100000\r\n\r\n",
		"unread":    "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
		"handshake": "\x16\x03\x01\x40\x00",
		"preface":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00",
		"HTTP/2 head": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + // no settings
			"\x00\x40\x00\x01\x04\x00\x00\x00\x01", // 16 KiB of headers
	}
	var all sync.WaitGroup
	for name, text := range begun {
		for range 40 {
			conn := dial(t, f.gateway)
			_, _ = io.WriteString(conn, text)
			ended := make(chan struct{})
			all.Go(func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, conn)
			})
			all.Go(func() {
				defer conn.Close()
				drip(t, name, conn, ended)
			})
		}
	}
	f.healthy(t)
	all.Wait()
	f.healthy(t)
}

// drip writes a byte now and then until the other side has had enough.
func drip(t *testing.T, name string, conn net.Conn, ended <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(time.Minute)
	for {
		select {
		case <-ended:
			return
		case <-giveUp:
			t.Errorf("%s: the gateway still listens", name)
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, "a"); err != nil {
				return
			}
		}
	}
}

// halfOpen is how many connections TestAttackHalfOpen holds, and needFiles how
// many files a process may have open for that.
const (
	halfOpen  = 10_000
	needFiles = halfOpen + 1000
)

// TestAttackHalfOpen connects ten thousand times and says nothing, or half of
// something. Others are served meanwhile, and all is over when they have left.
func TestAttackHalfOpen(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < needFiles {
		t.Fatalf("this test needs %d open files, and may have %d: raise the hard limit (ulimit -Hn); %v", needFiles, files.Cur, err)
	}
	f := newFortress(t, "--header-timeout", "10m", "--dev-tls")
	before := f.openFiles(t)
	conns := make([]net.Conn, halfOpen)
	texts := []string{"", "", "\x16\x03\x01", "GET / HTTP/1.1\r\nHost:"}
	var failed sync.Once
	atOnce(halfOpen, 64, func(i int) {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			failed.Do(func() { t.Errorf("connection %d: %v", i, err) })
			return
		}
		_, _ = io.WriteString(conn, texts[i%len(texts)])
		conns[i] = conn
	})
	f.healthy(t)
	// Of those who say nothing some are cut off: the rest is as many as it keeps.
	const kept = 4096 + halfOpen/2
	f.waitFiles(t, func(open int) bool { return open < before+kept+200 })
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	f.waitFiles(t, func(open int) bool { return open < before+200 })
	f.healthy(t)
}

var filesMetric = regexp.MustCompile(`(?m)^process_open_fds (\S+)$`)

// openFiles returns how many files the gateway has open.
func (f *fortress) openFiles(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/metrics"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := do(t, req)
	m := filesMetric.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the metrics do not tell:\n%s", body)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func (f *fortress) waitFiles(t *testing.T, enough func(open int) bool) {
	t.Helper()
	giveUp := time.Now().Add(time.Minute)
	for open := f.openFiles(t); !enough(open); open = f.openFiles(t) {
		if time.Now().After(giveUp) {
			t.Fatalf("%d files are still open", open)
		}
		retryPause()
	}
}
