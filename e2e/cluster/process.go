//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// poll is the pause before another process is asked once more.
const poll = 20 * time.Millisecond

// A Process is a server that can be ended and started again. Its methods must not
// be called concurrently, but for Log.
type Process struct {
	Name string
	host *host
	argv []string
	// ready reports whether it serves.
	ready func(ctx context.Context) error

	cmd   *exec.Cmd  // nil while it does not run
	ended chan error // gets one value, when it has
	log   logBuffer
}

// Log returns what the process has said, in all its lives.
func (p *Process) Log() string { return p.log.String() }

// Start starts the process and waits until it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return err
	}
	return p.Await(ctx)
}

func (p *Process) launch() error {
	p.cmd = p.host.command(p.argv[0], p.argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// Nothing outlives whoever has made it, however that ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	cmd, ended := p.cmd, make(chan error, 1)
	p.ended = ended
	go func() { ended <- cmd.Wait() }()
	return nil
}

// Await waits until the process is ready.
func (p *Process) Await(ctx context.Context) error {
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(poll):
		case err := <-p.ended:
			p.cmd = nil
			return fmt.Errorf("%s has ended: %w\n%s", p.Name, err, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.Name, err, p.Log())
		}
	}
}

// Kill ends the process without any warning.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended // with the news that it was killed
	p.cmd = nil
}

// Terminate asks the process to end and waits until it has.
func (p *Process) Terminate() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-p.ended
	p.cmd = nil
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		err = fmt.Errorf("%s ended with %w", p.Name, err)
	}
	return err
}

// Signal sends it a signal: SIGSTOP freezes it until SIGCONT.
func (p *Process) Signal(s os.Signal) error {
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", p.Name)
	}
	return p.cmd.Process.Signal(s)
}

// CPU returns what the process has used in its present life; zero if it does not
// run.
func (p *Process) CPU() (time.Duration, error) {
	if p.cmd == nil {
		return 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// After the name, which may hold anything, the 12th and 13th fields are user and
	// system time in hundredths of a second (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Partition drops the packets between the process and the other machines of the
// cluster until heal is called. It needs namespaces.
func (p *Process) Partition(d Direction) (heal func() error, err error) { return p.host.partition(d) }

// A logBuffer collects what processes say.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
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
