//go:build !race

package sse_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
)

// TestIdleViewerMemory measures what a viewer costs that waits. The clients are
// bare sockets, so that they weigh nothing in this process. It does not run
// beside other tests.
func TestIdleViewerMemory(t *testing.T) {
	const viewers = 4000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*viewers+200 {
		t.Skipf("too few file descriptors: %d, %v", limit.Cur, err)
	}
	r := startTCP(t, sse.Config{})
	fds := make([]int, 0, 100+viewers)
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	})
	open := func(n int) {
		for range n {
			fds = append(fds, bareGet(t, r.ln.Addr().(*net.TCPAddr).Port))
		}
	}
	open(100) // what is there once is not counted
	waitFor(t, "the viewers", func() bool { return r.viewers.Len() == 100 })
	before := residentBytes(t)
	open(viewers)
	waitFor(t, "the viewers", func() bool { return r.viewers.Len() == 100+viewers })
	// Each has seen an event, as viewers have: its stack has grown to what it needs.
	r.append(t, "g", runnel.EventDelta, "hello")
	waitFor(t, "the event to arrive", func() bool { return r.reads.Load() >= 2*(100+viewers) })
	fresh := residentBytes(t)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	per := (fresh - before) / viewers
	t.Logf("%d bytes of process memory per idle viewer (%d of it stacks in use)", per, m.StackInuse/viewers)
	if per > 16<<10 { // the goal is 12 KiB; the rest is for the neighbours on a busy machine
		t.Errorf("an idle viewer costs %d bytes", per)
	}
}

// bareGet asks for a stream on a socket that the Go runtime does not know.
func bareGet(t *testing.T, port int) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Write(fd, []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")); err != nil {
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
