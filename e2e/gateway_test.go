package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runnel-e2e")
	if err != nil {
		log.Fatal(err)
	}
	binary = filepath.Join(dir, "runnel")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/runnel").CombinedOutput(); err != nil {
		log.Fatalf("build: %v\n%s", err, out)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// A gateway is the real binary in its own process. Its port and its data
// survive a kill.
type gateway struct {
	t    *testing.T
	addr string
	data string
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd
	log *logBuffer
}

func newGateway(t *testing.T, args ...string) *gateway {
	t.Helper()
	return newGatewayAt(t, freePort(t), args...)
}

// newGatewayAt starts one at an address that its configuration speaks of.
func newGatewayAt(t *testing.T, addr string, args ...string) *gateway {
	t.Helper()
	return newGatewayOn(t, addr, filepath.Join(t.TempDir(), "data"), args...)
}

// newGatewayOn starts one with data that may be there already.
func newGatewayOn(t *testing.T, addr, data string, args ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, addr: addr, data: data, log: &logBuffer{}}
	g.args = append([]string{"serve", "--listen", addr, "--data-dir", data}, args...)
	g.start()
	t.Cleanup(func() {
		if t.Failed() && g.cmd != nil { // it says what every goroutine waits for
			_ = g.cmd.Process.Signal(syscall.SIGQUIT)
			_ = g.cmd.Wait()
		}
		g.kill()
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.log)
		}
	})
	return g
}

// freePort returns an address that nobody listens at. It is none of the ports that
// the kernel gives to clients: the gateway keeps it through kills, while thousands
// of clients come and go.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(12000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start starts the process and waits until it is ready.
func (g *gateway) start() {
	g.t.Helper()
	g.mu.Lock()
	g.cmd = exec.Command(binary, g.args...)
	g.cmd.Stderr = g.log
	err := g.cmd.Start()
	g.mu.Unlock()
	if err != nil {
		g.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get(g.url("/readyz"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("not ready: %v\n%s", err, g.log)
		}
		retryPause()
	}
}

// retryPause is what a test waits before it asks another process once more.
func retryPause() { <-time.After(5 * time.Millisecond) }

// kill ends the process without any warning.
func (g *gateway) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.cmd = nil
}

// terminate asks the process to stop and returns how it exited.
func (g *gateway) terminate() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := g.cmd.Wait()
	g.cmd = nil
	return err
}

func (g *gateway) url(path string) string { return "http://" + g.addr + path }

// startModel serves a stand-in for a model vendor in this process, so that it
// outlives the gateways, and returns the settings that make it a model.
func startModel(t *testing.T, settings string) (*modelserver.Server, string) {
	t.Helper()
	var o modelserver.Options
	if err := o.Set(settings); err != nil {
		t.Fatal(err)
	}
	s := modelserver.New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("model server: %v", err)
		}
	})
	return s, fmt.Sprintf("openai/test?base_url=http://%s/v1", ln.Addr())
}

// A logBuffer collects what processes say.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
