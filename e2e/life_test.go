package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// conversation is one session with one question and its viewer.
type conversation struct {
	*viewer
	question
}

func (c *conversation) ended() bool { return len(c.ends[c.generation]) > 0 }

// ask submits one question in each of n sessions.
func ask(t *testing.T, base, name string, n int, markers string, tokens int) []*conversation {
	t.Helper()
	var all []*conversation
	for i := range n {
		c := &conversation{viewer: newViewer(base, fmt.Sprintf("%s-%d", name, i))}
		c.prompt = fmt.Sprintf("Question of %s. %s", c.session, markers)
		c.want = modelserver.Text(c.prompt, tokens)
		var err error
		if c.generation, err = submit(t.Context(), base, c.session, c.prompt, c.session); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// watch follows all conversations to their end and compares.
func watch(ctx context.Context, t *testing.T, all []*conversation) {
	t.Helper()
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			if err := c.follow(ctx, c.ended); err != nil {
				t.Errorf("%s: %v", c.session, err)
				return
			}
			if got := c.texts[c.generation].String(); got != c.want {
				t.Errorf("%s has\n%q\nwant\n%q", c.session, got, c.want)
			}
			if ends := c.ends[c.generation]; len(ends) != 1 || ends[0] != "generation.done" {
				t.Errorf("%s ended with %v", c.session, ends)
			}
		})
	}
	wg.Wait()
}

// TestDrain stops the gateway in the middle of short and long answers: the
// short ones finish, the long ones go on with the next process.
func TestDrain(t *testing.T) {
	t.Parallel()
	_, model := startModel(t, "tps=50 ttft=20ms")
	g := newGateway(t, "--model", model, "--drain-timeout", "3s")
	short := ask(t, g.url(""), "short", 20, "[[tokens=60]]", 60)
	long := ask(t, g.url(""), "long", 20, "[[tokens=300]]", 300)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { watch(ctx, t, append(short, long...)) })

	begin := time.Now()
	if err := g.terminate(); err != nil {
		t.Errorf("the drained process: %v", err)
	}
	if took := time.Since(begin); took < time.Second || took > 15*time.Second {
		t.Errorf("the drain took %v", took)
	}
	g.start()
	wg.Wait()
	for _, c := range short {
		if c.resets > 0 {
			t.Errorf("%s had time to finish, yet was begun again", c.session)
		}
	}
}

// TestPause stops the whole process for longer than its leases last.
func TestPause(t *testing.T) {
	t.Parallel()
	_, model := startModel(t, "tps=50 ttft=20ms")
	g := newGateway(t, "--model", model)
	all := ask(t, g.url(""), "pause", 20, "[[tokens=100]]", 100)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { watch(ctx, t, all) })
	<-time.After(500 * time.Millisecond)
	if err := g.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(4 * time.Second)
	if err := g.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// TestStop cancels answers and asks the model server when it saw its clients
// go away.
func TestStop(t *testing.T) {
	t.Parallel()
	upstream, model := startModel(t, "tps=20 ttft=10ms tokens=2000")
	g := newGateway(t, "--model", model)
	all := ask(t, g.url(""), "stop", 20, "", 2000)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, c := range all {
		if err := c.follow(ctx, func() bool { return c.texts[c.generation] != nil && c.texts[c.generation].Len() > 20 }); err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(g.url("/v1/generations/"+c.generation+"/cancel"), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if err := c.follow(ctx, c.ended); err != nil {
			t.Fatal(err)
		}
		if ends := c.ends[c.generation]; len(ends) != 1 || ends[0] != "generation.cancelled" {
			t.Errorf("%s ended with %v", c.session, ends)
		}
		if got := c.texts[c.generation].String(); !strings.HasPrefix(c.want, got) || got == "" {
			t.Errorf("%s has %q", c.session, got)
		}
	}
	for ctx.Err() == nil && upstream.Stats().OpenStreams > 0 {
		retryPause()
	}
	if s := upstream.Stats(); s.Aborted != int64(len(all)) {
		t.Errorf("the model server saw %d of %d clients go away", s.Aborted, len(all))
	}
}

// TestSlowViewers has viewers that read a kilobyte a second, or nothing, beside
// ones that read what comes. The others must not notice, and the memory of the
// process must not grow with what the slow ones leave.
func TestSlowViewers(t *testing.T) {
	t.Parallel()
	_, model := startModel(t, "ttft=10ms tps=2000")
	g := newGateway(t, "--model", model, "--flush-interval", "0s")
	base := g.url("")
	all := ask(t, base, "slow", 1, "[[tokens=12000]]", 12000)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()

	var stalled sync.WaitGroup
	stop, stopSlow := context.WithCancel(ctx)
	for i := range 200 {
		stalled.Go(func() { crawl(stop, t, g.addr, all[0].session, i%2 == 0) })
	}
	defer stalled.Wait()
	defer stopSlow()
	for range 20 { // ordinary viewers of the same session
		all = append(all, &conversation{viewer: newViewer(base, all[0].session), question: all[0].question})
	}
	before := rss(t, g.cmd.Process.Pid)
	begin := time.Now()
	watch(ctx, t, all)
	took := time.Since(begin)
	after := rss(t, g.cmd.Process.Pid)
	t.Logf("12,000 tokens to 21 viewers beside 200 slow ones in %v; memory %d → %d MiB", took, before>>20, after>>20)
	// Each slow viewer is a megabyte and more behind: 200 MiB if it were kept for them.
	if after > before+100<<20 {
		t.Errorf("memory grew by %d MiB", (after-before)>>20)
	}
}

// crawl reads a session at a kilobyte a second, or not at all, until ctx is
// done or the gateway has had enough of it.
func crawl(ctx context.Context, t *testing.T, addr, session string, read bool) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := fmt.Fprintf(conn, "GET /v1/sessions/%s/events HTTP/1.1\r\nHost: x\r\n\r\n", session); err != nil {
		return
	}
	for read {
		if _, err := io.CopyN(io.Discard, conn, 100); err != nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
}

// rss returns the resident memory of a process in bytes.
func rss(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("this system does not tell a process's memory: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
