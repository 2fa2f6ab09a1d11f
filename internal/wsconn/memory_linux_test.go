//go:build !race

package wsconn_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// TestIdleMemory measures what a connection costs that waits, and one with a
// viewer: a loop that waits for something to write. The clients are bare sockets,
// so that they weigh nothing in this process. It does not run beside other tests.
func TestIdleMemory(t *testing.T) {
	for _, viewed := range []bool{false, true} {
		t.Run(fmt.Sprintf("viewed=%v", viewed), func(t *testing.T) { measureIdle(t, viewed) })
	}
}

func measureIdle(t *testing.T, viewed bool) {
	const conns = 4000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*conns+400 {
		t.Skipf("too few file descriptors: %d, %v", limit.Cur, err)
	}
	var seen atomic.Int64
	wake := make(chan struct{})
	var viewers sync.WaitGroup
	t.Cleanup(viewers.Wait)
	r := start(t, listen(t), wsconn.Config{}, func(c *wsconn.Conn, msg []byte) {
		echo(c, msg)
		if !viewed {
			seen.Add(1)
			return
		}
		viewers.Go(func() {
			<-wake // as a viewer waits for an event
			_ = c.Write(context.Background(), frame("hello"))
			seen.Add(1)
			<-c.Context().Done()
		})
	})
	fds := make([]int, 0, 100+conns)
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	})
	open := func(n int) {
		for range n {
			fds = append(fds, bareDial(t, r.ln.Addr().(*net.TCPAddr).Port))
			<-r.opened
		}
	}
	open(100) // what is there once is not counted
	before := residentBytes(t)
	open(conns)
	close(wake)
	// Each has spoken, as connections have: its stack has grown to what it needs.
	waitFor(t, "all to be done", func() bool { return seen.Load() == 100+conns })
	fresh := residentBytes(t)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	per := (fresh - before) / conns
	t.Logf("%d bytes of process memory per idle connection (%d of it stacks in use)", per, m.StackInuse/conns)
	if per > 12<<10 { // the goal is 8 KiB; the rest is for the neighbours on a busy machine
		t.Errorf("an idle connection costs %d bytes", per)
	}
}

// bareDial opens a WebSocket on a socket that the Go runtime does not know, and
// says something.
func bareDial(t *testing.T, port int) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Write(fd, []byte(handshake+"\r\n"+hi)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func residentBytes(t *testing.T) int {
	t.Helper()
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(stat)[1]))
	if err != nil {
		t.Fatal(fmt.Errorf("read statm: %w", err))
	}
	return pages * os.Getpagesize()
}
