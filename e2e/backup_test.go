package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestBackup copies the data of a gateway, as docs/operate.md says, and starts
// another one elsewhere with the copy. Its viewers come with the cursors that
// they have from the first.
func TestBackup(t *testing.T) {
	t.Parallel()
	for name, backup := range map[string]func(t *testing.T, g *gateway) (data string){
		"stopped": func(t *testing.T, g *gateway) string {
			if err := g.terminate(); err != nil {
				t.Fatal(err)
			}
			return copied(t, g.data)
		},
		// As a snapshot of the file system: everything as it is at one moment.
		"at one moment": func(t *testing.T, g *gateway) string {
			pause(t, g, syscall.SIGSTOP)
			defer pause(t, g, syscall.SIGCONT)
			return copied(t, g.data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testBackup(t, backup)
		})
	}
}

func testBackup(t *testing.T, backup func(*testing.T, *gateway) string) {
	_, model := startModel(t, "tps=50 ttft=10ms")
	first := newGateway(t, "--model", model, "--drain-timeout", "100ms")
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ended := ask(t, first.url(""), "ended", 5, "[[tokens=5]]", 5)
	watch(ctx, t, ended)
	running := ask(t, first.url(""), "running", 5, "[[tokens=200]]", 200)
	for _, c := range running {
		if err := c.follow(ctx, func() bool { return c.texts[c.generation] != nil && c.texts[c.generation].Len() > 20 }); err != nil {
			t.Fatal(err)
		}
	}
	second := newGatewayOn(t, freePort(t), backup(t, first), "--model", model)
	for _, c := range ended { // nothing is left to read after their cursors
		c.viewer = newViewer("", c.session)
	}
	all := append(ended, running...)
	for _, c := range all {
		c.base = second.url("")
	}
	watch(ctx, t, all)
}

func pause(t *testing.T, g *gateway, s os.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func copied(t *testing.T, data string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", data, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return to
}
