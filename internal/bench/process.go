package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout = 20 * time.Second
	// maxTail bounds what is kept of what a process said, to explain its end.
	maxTail = 4 << 10
)

// announced is how our commands say where they listen.
var announced = regexp.MustCompile(`\bat (http://[^\s"]+)`)

// A process is our own program in another role.
type process struct {
	role string
	cmd  *exec.Cmd
	url  *url.URL

	ended chan struct{} // closed when the process has ended

	mu   sync.Mutex
	tail []byte // the last of what it said
}

// spawn starts the program with arguments and returns when it has said where it
// listens. It is killed when ctx is done.
func (s *suite) spawn(ctx context.Context, args ...string) (*process, error) {
	p := &process{role: args[0], cmd: exec.CommandContext(ctx, s.opts.Program, args...), ended: make(chan struct{})}
	p.cmd.Env = ownEnviron(os.Environ())
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", p.role, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", p.role, err)
	}
	found := make(chan string, 1) // so that listen need not wait for us
	go p.listen(out, found)
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case text := <-found:
		if p.url, err = url.Parse(text); err == nil {
			return p, nil
		}
	case <-p.ended:
		err = errors.New("it ended")
	case <-timer.C:
		err = errors.New("it does not say that it is ready")
	}
	p.kill()
	return nil, fmt.Errorf("bench: start %s: %w: %s", p.role, err, p.said())
}

// ownEnviron returns the environment without settings of ours: what is measured
// is a gateway as it comes.
func ownEnviron(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, "RUNNEL_") })
}

// listen reads what the process says until it ends.
func (p *process) listen(out io.Reader, found chan<- string) {
	defer close(p.ended)
	lines := bufio.NewReader(out)
	waiting := true
	for {
		line, err := lines.ReadSlice('\n')
		if m := announced.FindSubmatch(line); waiting && m != nil {
			found <- string(m[1])
			waiting = false
		}
		p.mu.Lock()
		p.tail = append(p.tail, line...)
		p.tail = p.tail[max(0, len(p.tail)-maxTail):]
		p.mu.Unlock()
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	_ = p.cmd.Wait() // it was killed, or what it said tells more
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.TrimSpace(p.tail))
}

// kill ends the process and waits for its end. Nothing it has is worth a
// graceful one.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if it has ended already
	<-p.ended
}

// gateway starts a gateway with an empty data directory, and returns when it
// is ready.
func (s *suite) gateway(ctx context.Context, args ...string) (*process, error) {
	s.gateways++
	dir := filepath.Join(s.dir, fmt.Sprintf("data-%d", s.gateways))
	p, err := s.spawn(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir}, args...)...)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// ready asks the gateway whether it is.
func (p *process) ready(ctx context.Context) error {
	resp, err := get(ctx, p.url.JoinPath("readyz"))
	if err != nil {
		return fmt.Errorf("bench: ask %s whether it is ready: %w", p.role, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: %s is not ready: %s", p.role, resp.Status)
	}
	return nil
}

func get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// modelSetting names a model behind the given server.
func modelSetting(server *url.URL) string {
	return "openai/bench?base_url=" + url.QueryEscape(server.JoinPath("v1").String())
}
