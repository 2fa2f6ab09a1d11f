package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is a user at a pseudo-terminal in which a command runs.
type terminal struct {
	t    *testing.T
	keys *os.File
	cmd  *exec.Cmd

	mu      sync.Mutex
	screen  bytes.Buffer
	looked  int           // how much of screen expect has gone past
	changed chan struct{} // holds one: screen has grown, or the command has ended
	ended   bool
	reading sync.WaitGroup
}

func openTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	keys, tty := openPTY(t)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Args[0] = "runnel" // which of the programs in this binary to run
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	u := &terminal{t: t, keys: keys, cmd: cmd, changed: make(chan struct{}, 1)}
	u.reading.Go(u.read)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		u.reading.Wait()
		_ = cmd.Wait()
		_ = keys.Close()
	})
	return u
}

func openPTY(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	fd := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return keys, tty
}

func (u *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := u.keys.Read(buf)
		u.mu.Lock()
		u.screen.Write(buf[:n])
		u.ended = err != nil
		u.mu.Unlock()
		select {
		case u.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return // EIO: the command has gone
		}
	}
}

// expect waits until text is on the screen, after what was expected before.
func (u *terminal) expect(text string) {
	u.t.Helper()
	giveUp := time.NewTimer(patience)
	defer giveUp.Stop()
	for {
		u.mu.Lock()
		rest, ended := u.screen.String()[u.looked:], u.ended
		if at := strings.Index(rest, text); at >= 0 {
			u.looked += at + len(text)
			u.mu.Unlock()
			return
		}
		u.mu.Unlock()
		if ended {
			u.t.Fatalf("the command ended and has not said %q but\n%q", text, rest)
		}
		select {
		case <-u.changed:
		case <-giveUp.C:
			u.t.Fatalf("waited for %q and saw\n%q", text, rest)
		}
	}
}

func (u *terminal) enter(text string) {
	u.t.Helper()
	if _, err := u.keys.WriteString(text); err != nil {
		u.t.Fatal(err)
	}
}

// wait returns the exit code.
func (u *terminal) wait() int {
	u.t.Helper()
	u.reading.Wait()
	_ = u.cmd.Wait()
	return u.cmd.ProcessState.ExitCode()
}
