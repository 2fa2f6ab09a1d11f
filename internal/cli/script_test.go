package cli_test

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// patience bounds every wait of a script.
const patience = 20 * time.Second

// TestScripts runs the scripts in testdata/script. Besides the usual commands
// they have
//
//	gateway start [flags]   start a node, or start it again where it was; its
//	                        address is in $LISTEN and $RUNNEL_SERVER, its log
//	                        in gateway.log
//	gateway stop            send SIGTERM and wait; with ! it must fail
//	gateway drain           send SIGTERM and wait until it is not ready any more
//	gateway kill            send SIGKILL
//	gateway reload          send SIGHUP and wait until the log says what came of it
//	await SESSION TYPE      wait until the session has an event of this type
//	follow NAME args...     run runnel in the background
//	until NAME PATTERN      read its output up to a line that matches
//	interrupt NAME          end it with SIGINT; its exit code must be 130, its
//	                        output is in NAME.out
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			n := &node{}
			env.Values[nodeKey{}] = n
			env.Values[followersKey{}] = map[string]*follower{}
			env.Defer(n.kill)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gateway":   gateway,
			"await":     await,
			"follow":    follow,
			"until":     until,
			"interrupt": interrupt,
		},
	})
}

type nodeKey struct{}

// A node is the gateway of a script.
type node struct {
	cmd    *exec.Cmd
	listen string
}

var ready = regexp.MustCompile(`is ready at http://(\S+)`)

func gateway(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: gateway start [flags] | stop | drain | kill | reload")
	}
	n := ts.Value(nodeKey{}).(*node)
	switch args[0] {
	case "start":
		n.start(ts, args[1:])
	case "kill":
		n.kill()
	case "reload":
		n.reload(ts)
	case "drain":
		ts.Check(n.cmd.Process.Signal(syscall.SIGTERM))
		n.unready(ts)
	case "stop":
		ts.Check(n.cmd.Process.Signal(syscall.SIGTERM))
		err := n.cmd.Wait()
		n.cmd = nil
		if (err != nil) != neg {
			ts.Fatalf("the gateway ended with %v", err)
		}
	default:
		ts.Fatalf("gateway cannot %s", args[0])
	}
}

func (n *node) start(ts *testscript.TestScript, flags []string) {
	if n.listen == "" {
		n.listen = "127.0.0.1:0"
	}
	binary, err := exec.LookPath("runnel")
	ts.Check(err)
	args := append([]string{"serve", "--data-dir", ts.MkAbs("data")}, flags...)
	if !slices.Contains(flags, "--listen") {
		args = append(args, "--listen", n.listen)
	}
	n.cmd = exec.Command(binary, args...)
	n.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.MkAbs(".")}
	said, err := n.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(n.cmd.Start())
	log, err := os.OpenFile(ts.MkAbs("gateway.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	lines := bufio.NewReader(io.TeeReader(said, log))
	for {
		line, err := lines.ReadString('\n')
		if m := ready.FindStringSubmatch(line); m != nil {
			n.listen = m[1]
			break
		}
		if err != nil {
			ts.Fatalf("the gateway did not start: %v\n%s", err, ts.ReadFile("gateway.log"))
		}
	}
	ts.Setenv("LISTEN", n.listen)
	ts.Setenv("RUNNEL_SERVER", "http://"+n.listen)
	// The rest of the log is copied until the process ends.
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(io.Discard, lines)
		_ = log.Close()
	}()
	ts.Defer(func() {
		n.kill()
		<-copied
	})
}

func (n *node) reload(ts *testscript.TestScript) {
	outcome := regexp.MustCompile(`configuration (reloaded|is refused)`)
	seen := func() int { return len(outcome.FindAllString(ts.ReadFile("gateway.log"), -1)) }
	before := seen()
	ts.Check(n.cmd.Process.Signal(syscall.SIGHUP))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(patience); seen() == before; <-tick.C {
		if time.Now().After(giveUp) {
			ts.Fatalf("the gateway did not reload:\n%s", ts.ReadFile("gateway.log"))
		}
	}
}

func (n *node) unready(ts *testscript.TestScript) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(patience); time.Now().Before(giveUp); <-tick.C {
		resp, err := http.Get("http://" + n.listen + "/readyz")
		ts.Check(err)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			return
		}
	}
	ts.Fatalf("the gateway is still ready")
}

func (n *node) kill() {
	if n.cmd != nil {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await SESSION TYPE")
	}
	c, err := client.New(ts.Getenv("RUNNEL_SERVER"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ev, err := range c.Stream(ctx, runnel.SessionID(args[0]), runnel.Cursor{}) {
		ts.Check(err)
		if strings.HasPrefix(string(ev.Type), args[1]) {
			return
		}
	}
}

type followersKey struct{}

// A follower is a command in the background whose output is read as it comes.
type follower struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
	seen  strings.Builder
}

func follow(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: follow NAME args...")
	}
	binary, err := exec.LookPath("runnel")
	ts.Check(err)
	f := &follower{cmd: exec.Command(binary, args[1:]...)}
	f.cmd.Env = []string{"RUNNEL_SERVER=" + ts.Getenv("RUNNEL_SERVER"), "RUNNEL_API_KEY=" + ts.Getenv("RUNNEL_API_KEY")}
	out, err := f.cmd.StdoutPipe()
	ts.Check(err)
	f.lines = bufio.NewReader(out)
	ts.Check(f.cmd.Start())
	ts.Value(followersKey{}).(map[string]*follower)[args[0]] = f
	ts.Defer(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
	})
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	f := ts.Value(followersKey{}).(map[string]*follower)[args[0]]
	pattern := regexp.MustCompile(args[1])
	// Nothing can interrupt the reading of a pipe but its end.
	giveUp := time.AfterFunc(patience, func() { _ = f.cmd.Process.Kill() })
	defer giveUp.Stop()
	for {
		line, err := f.lines.ReadString('\n')
		f.seen.WriteString(line)
		if pattern.MatchString(line) {
			return
		}
		if err != nil {
			ts.Fatalf("no line matches %q: %v\n%s", args[1], err, f.seen.String())
		}
	}
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	f := ts.Value(followersKey{}).(map[string]*follower)[args[0]]
	ts.Check(f.cmd.Process.Signal(os.Interrupt))
	_, err := io.Copy(&f.seen, f.lines)
	ts.Check(err)
	_ = f.cmd.Wait()
	if code := f.cmd.ProcessState.ExitCode(); code != 130 {
		ts.Fatalf("the exit code is %d, want 130", code)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(f.seen.String()), 0o600))
}
