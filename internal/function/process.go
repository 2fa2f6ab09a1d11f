package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	// minInit is the least time that a process has until it asks for work.
	minInit = 10 * time.Second
	// stopGrace is how long a process may take to end when it is asked to.
	stopGrace = 2 * time.Second
	// exitGrace is how long we wait, after a process has dropped an answer, to
	// learn whether it has died.
	exitGrace = time.Second
)

// A process runs one function, one invocation at a time. It talks to a Runtime
// API of its own.
type process struct {
	pool *pool
	log  *slog.Logger
	cmd  *exec.Cmd
	api  *http.Server
	ln   net.Listener
	logs *logs

	work   chan *invocation // unbuffered: from the pool to the runtime that polls
	exited chan struct{}    // closed when the process is gone and gone is set
	gone   *Failure         // why; for an invocation that it left unanswered

	mu      sync.Mutex
	ready   bool // it has asked for work
	current *invocation
	reason  *Failure // why we killed it
	initErr *Failure // what it said of its own start
	dead    bool     // its id may be somebody else's

	// Guarded by the pool's mu.
	started, retired, finishing bool
	idleTimer                   *time.Timer
}

// An invocation is an event that a process has, or is about to get.
type invocation struct {
	request  Request
	answered chan answer // holds one

	// Guarded by the process's mu.
	deadline  time.Time
	timer     *time.Timer // kills the process
	answering bool        // the runtime has begun to answer
	abandoned bool        // nobody waits for the answer
}

// An answer is the beginning of one, or a failure.
type answer struct {
	body    *body
	failure *Failure
}

// startProcess starts a process. The pool hears of its being ready, and of its end.
func startProcess(p *pool) (*process, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open Runtime API: %w", err)
	}
	l, err := newLogs(p.log)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	pr := &process{
		pool: p, log: p.log, ln: ln, logs: l, work: make(chan *invocation), exited: make(chan struct{}),
		cmd: exec.Command(p.cfg.Command[0], p.cfg.Command[1:]...),
	}
	pr.cmd.Dir, pr.cmd.Env = p.cfg.Dir, p.environ(ln.Addr().String())
	pr.cmd.Stdout, pr.cmd.Stderr = l.w, l.w
	group(pr.cmd)
	pr.api = &http.Server{Handler: pr.handler(), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	if err := p.start(pr.cmd); err != nil {
		return nil, errors.Join(err, ln.Close(), l.w.Close(), l.r.Close())
	}
	expendable(pr.cmd.Process.Pid)
	p.log.Debug("process started", "pid", pr.cmd.Process.Pid)
	return pr, nil
}

// run lives as long as the process, and returns when all that belongs to it has ended.
func (pr *process) run() {
	var parts sync.WaitGroup
	parts.Go(pr.logs.read)
	parts.Go(func() { _ = pr.api.Serve(pr.ln) })
	if pr.pool.cfg.Memory > 0 {
		parts.Go(pr.watchMemory)
	}
	begin := time.AfterFunc(pr.pool.initTimeout(), func() {
		pr.mu.Lock()
		ready := pr.ready
		pr.mu.Unlock()
		if !ready {
			pr.kill(newFailure(typeInit, "The process did not ask for work within %v", pr.pool.initTimeout()))
		}
	})
	err := pr.cmd.Wait()
	begin.Stop()
	pr.mu.Lock()
	pr.dead = true
	killGroup(pr.cmd) // what it has started and left behind
	pr.gone = pr.reason
	if pr.gone == nil {
		pr.gone = pr.initErr
	}
	if pr.gone == nil {
		pr.gone = newFailure(typeExit, "Error: Runtime exited %s", exitText(err))
	}
	inv := pr.current
	silent := inv != nil && !inv.answering
	// That it did not start is for the pool to say.
	unasked := pr.ready && (inv == nil && pr.reason == nil || inv != nil && !inv.abandoned)
	pr.mu.Unlock()
	if unasked {
		pr.report(inv)
	}
	close(pr.exited)
	_ = pr.api.Close()
	pr.logs.close()
	if inv != nil {
		inv.timer.Stop()
	}
	if silent {
		pr.fail(inv, pr.gone)
	}
	parts.Wait()
	pr.log.Debug("process ended", "pid", pr.cmd.Process.Pid, "reason", pr.gone.Message)
	pr.pool.ended(pr)
}

// report says that the process has ended when it should not have.
func (pr *process) report(inv *invocation) {
	log := pr.log.With("pid", pr.cmd.Process.Pid, "reason", pr.gone.Message)
	if inv == nil {
		log.Warn("a process ended that nobody had asked to")
		return
	}
	log.Warn("a process ended in the middle of an invocation", "request_id", inv.request.ID, "error_type", pr.gone.Type)
}

func exitText(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "with error: " + exit.Error()
	}
	if err != nil {
		return "with error: " + err.Error()
	}
	return "without providing a reason"
}

// fail answers an invocation that has had no answer yet.
func (pr *process) fail(inv *invocation, f *Failure) {
	select {
	case inv.answered <- answer{failure: f.of(inv.request.ID, pr.logs.end())}:
	default:
	}
}

// kill ends the process at once. The first reason counts.
func (pr *process) kill(reason *Failure) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.reason == nil {
		pr.reason = reason
	}
	if !pr.dead {
		killGroup(pr.cmd)
	}
}

// stop asks the process to end, and kills it if it does not.
func (pr *process) stop() {
	pr.mu.Lock()
	if pr.reason == nil {
		pr.reason = newFailure(typeExit, "Error: the process was stopped")
	}
	if !pr.dead {
		terminateGroup(pr.cmd)
	}
	pr.mu.Unlock()
	timer := time.AfterFunc(stopGrace, func() { pr.kill(nil) })
	defer timer.Stop()
	<-pr.exited
}

// await returns when the answer to an event that the process was given begins.
func (pr *process) await(ctx context.Context, inv *invocation) (*Response, error) {
	stop := context.AfterFunc(ctx, func() { pr.abandon(inv) })
	select {
	case a := <-inv.answered:
		if a.failure != nil {
			stop()
			return nil, a.failure
		}
		a.body.release = stop
		return a.response(), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// abandon kills the process if it works on an invocation that nobody waits for:
// there is no other way to stop a handler.
func (pr *process) abandon(inv *invocation) {
	pr.mu.Lock()
	inv.abandoned = true
	working := pr.current == inv
	pr.mu.Unlock()
	if working {
		pr.kill(newFailure(typeExit, "Error: nobody waits for the answer any more"))
	}
}

// begin is called when the runtime is about to get an event. It reports false if
// there is no use in it.
func (pr *process) begin(inv *invocation) bool {
	timeout := pr.pool.cfg.Timeout
	pr.logs.begin(inv.request.ID)
	pr.mu.Lock()
	if pr.dead || inv.abandoned {
		gone := pr.gone
		pr.mu.Unlock()
		if gone != nil {
			pr.fail(inv, gone)
		}
		return false
	}
	defer pr.mu.Unlock()
	pr.current = inv
	inv.deadline = time.Now().Add(timeout)
	inv.timer = time.AfterFunc(timeout, func() {
		pr.kill(newFailure(typeTimeout, "Error: Task timed out after %.2f seconds", timeout.Seconds()))
	})
	return true
}

// finish is called when the runtime asks for the next event: only then is the
// one before over.
func (pr *process) finish() {
	pr.mu.Lock()
	inv := pr.current
	pr.current = nil
	pr.ready = true
	silent := inv != nil && !inv.answering
	pr.mu.Unlock()
	if inv != nil {
		inv.timer.Stop()
	}
	if silent {
		pr.fail(inv, newFailure(typeExit, "Error: the runtime asked for the next event without answering this one"))
	}
	pr.pool.idled(pr)
}

// answer returns the invocation that a runtime begins to answer; nil if it has
// no such one, or answers twice.
func (pr *process) answer(id string) *invocation {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	inv := pr.current
	if inv == nil || inv.request.ID != id || inv.answering {
		return nil
	}
	inv.answering = true
	return inv
}

// environ returns the environment of a process: little of ours, for that has
// the keys of models.
func (p *pool) environ(api string) []string {
	c, region := p.cfg, region()
	env := inherited()
	set := func(name, value string) { env = append(env, name+"="+value) }
	root := c.Dir
	if root == "" {
		root, _ = os.Getwd()
	}
	memory := c.Memory
	if memory == 0 {
		memory = 128 // Lambda's own default; runtimes want a number
	}
	set("AWS_LAMBDA_RUNTIME_API", api)
	set("_HANDLER", c.Handler)
	set("LAMBDA_TASK_ROOT", root)
	set("AWS_LAMBDA_FUNCTION_NAME", c.Name)
	set("AWS_LAMBDA_FUNCTION_VERSION", Version)
	set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", fmt.Sprint(memory))
	set("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/"+c.Name)
	set("AWS_LAMBDA_LOG_STREAM_NAME", "runnel/"+api)
	set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
	set("AWS_REGION", region)
	set("AWS_DEFAULT_REGION", region)
	for _, v := range c.Env {
		if strings.Contains(string(v), "=") {
			env = append(env, string(v))
		} else if value, ok := os.LookupEnv(string(v)); ok {
			set(string(v), value)
		}
	}
	return env
}

// Version is that of every function.
const Version = "$LATEST"

// region is the one that functions believe to be in.
func region() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r := os.Getenv(name); r != "" {
			return r
		}
	}
	return "us-east-1"
}

// inherited are the variables that programs need to run at all.
func inherited() []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE",
		"SYSTEMROOT", "TEMP", "TMP", "USERPROFILE", "PATHEXT", "COMSPEC",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
