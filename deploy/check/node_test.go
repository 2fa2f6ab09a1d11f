package check_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait.
const patience = time.Minute

// A node is the real binary at work.
type node struct {
	url string
	cmd *exec.Cmd
	log *logBuffer
}

// startNode starts a node with these variables, and waits until it is ready.
func startNode(t *testing.T, environ []string) *node {
	t.Helper()
	addr := freePort(t)
	n := &node{url: "http://" + addr, log: &logBuffer{}}
	n.cmd = exec.Command(binary, "serve")
	n.cmd.Env = append([]string{"RUNNEL_LISTEN=" + addr, "RUNNEL_DATA_DIR=" + filepath.Join(t.TempDir(), "data")}, environ...)
	n.cmd.Stderr = n.log
	n.run(t)
	return n
}

func (n *node) run(t *testing.T) {
	t.Helper()
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		if err := n.cmd.Wait(); err != nil {
			t.Errorf("the node's end: %v", err)
		}
		if t.Failed() {
			t.Logf("the node's log:\n%s", n.log)
		}
	})
	await(t, n.url+"/readyz", n.log)
}

// await waits until an address answers with 200.
func await(t *testing.T, url string, log fmt.Stringer) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(patience); ; <-tick.C {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("%s", resp.Status)
		}
		if time.Now().After(giveUp) {
			t.Fatalf("%s: %v\n%s", url, err, log)
		}
	}
}

// freePort returns an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A logBuffer collects what a process says.
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
