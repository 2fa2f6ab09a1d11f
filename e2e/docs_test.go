package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?s)\n```sh\n(.*?)```")

// TestDocumentedCommands runs the commands of the guides, as they stand there but
// for the port, against the real binary. What is no command for a shell, or cannot
// be run here, is written without the fence.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := shellBlock.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			continue
		}
		g := newGateway(t, "--model", "echo?ttft=0s&tps=2000")
		dir := t.TempDir()
		for _, block := range blocks {
			ran++
			script := strings.ReplaceAll(string(block[1]), "127.0.0.1:8080", g.addr)
			cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "RUNNEL_SERVER=http://"+g.addr)
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte(`"error":{`)) {
				t.Errorf("%s:\n%s\n%v:\n%s", filepath.Base(page), script, err, out)
			}
		}
	}
	if ran < 10 {
		t.Errorf("%d commands were found in the guides: where are the others?", ran)
	}
}
