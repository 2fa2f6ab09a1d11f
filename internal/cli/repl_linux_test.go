package cli_test

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// startGateway runs a node for one test and returns the environment in which
// clients find it.
func startGateway(t *testing.T, model string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--model", model)
	cmd.Args[0] = "runnel"
	cmd.Env = []string{}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			return []string{"RUNNEL_SERVER=http://" + m[1], "TERM=xterm"}
		}
	}
	t.Fatal("the gateway did not start")
	return nil
}

func TestConversation(t *testing.T) {
	t.Parallel()
	u := openTerminal(t, startGateway(t, "echo?ttft=50ms&tps=200&tokens=30"), "chat", "--session", "talk")
	u.expect("Session talk. Ctrl-C stops an answer, Ctrl-D leaves.")
	u.expect("> ")
	u.enter("first\r")
	u.expect("waiting") // the spinner
	u.expect("first")
	u.expect("> ")
	u.enter("\r") // nothing asked, nothing answered
	u.expect("> ")
	u.enter("secnod\x7f\x7f\x7fond\r") // corrected
	u.expect("“second”")
	u.expect("> ")
	u.enter(ctrlD)
	if code := u.wait(); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
}

func TestConversationInterrupted(t *testing.T) {
	t.Parallel()
	u := openTerminal(t, startGateway(t, "echo?ttft=0s&tps=20&tokens=1000"), "chat")
	u.expect("> ")
	u.enter("go on for ever\r")
	u.expect("“go on")
	u.enter(ctrlC)
	u.expect("[stopped]")
	u.expect("> ")
	u.enter("half a li" + ctrlC)
	if code := u.wait(); code != 130 {
		t.Errorf("the exit code is %d, want 130", code)
	}
}

// What goes wrong with one prompt is said, and the conversation goes on.
func TestConversationFailure(t *testing.T) {
	t.Parallel()
	u := openTerminal(t, startGateway(t, "echo?ttft=0s&tps=0&fail=after:2"), "chat")
	u.expect("> ")
	u.enter("hi\r")
	u.expect("runnel: the generation failed: ")
	u.expect("> ")
	u.enter(ctrlD)
	if code := u.wait(); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
}
