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
			runDocumented(t, page, dir, string(block[1]), g)
		}
	}
	if ran < 10 {
		t.Errorf("%d commands were found in the guides: where are the others?", ran)
	}
}

// runDocumented runs a script from a page, as it stands there but for the port, in
// a folder, and returns what it prints.
func runDocumented(t *testing.T, page, dir, script string, g *gateway, env ...string) string {
	t.Helper()
	if g != nil {
		host, port, _ := strings.Cut(g.addr, ":")
		script = strings.NewReplacer("127.0.0.1:8080", host+":"+port, "localhost:8080", "localhost:"+port).Replace(script)
		env = append(env, "RUNNEL_SERVER=http://"+g.addr)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH")), env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil || regexp.MustCompile(`"errors?":[{\[]`).Match(out.Bytes()) {
		t.Errorf("%s:\n%s\n%v:\n%s%s", filepath.Base(page), script, err, &out, &said)
	}
	return strings.TrimSpace(out.String())
}

// documented returns the lines of a page's commands that begin in a certain way and
// have something in them.
func documented(t *testing.T, page, begin, part string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(line, "    "+begin); ok && strings.Contains(command, part) {
			return begin + command
		}
	}
	t.Fatalf("%s has no line %s… with %s", page, begin, part)
	return ""
}

// TestDocumentedCredentials does what the pages about credentials and certificates
// say: it makes a key, puts an access key into the same file, and shows them.
func TestDocumentedCredentials(t *testing.T) {
	const page, secret = "../docs/authentication.md", "a-secret-of-the-tests"
	t.Setenv("IAM_SECRET", secret)
	dir := t.TempDir()
	key := runDocumented(t, page, dir, documented(t, page, "runnel key new", ""), nil)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	iam := regexp.MustCompile("(?s)```yaml\n(iam:.*?)```").FindSubmatch(text)
	if iam == nil {
		t.Fatalf("%s has no access key", page)
	}
	file, err := os.OpenFile(filepath.Join(dir, "runnel.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(iam[1])
		_ = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, "--dev-tls", "--config", filepath.Join(dir, "runnel.yaml"), "--model", "echo?ttft=0s&tps=2000")
	for _, command := range []string{documented(t, page, "curl", "$KEY"), documented(t, page, "curl", "aws-sigv4")} {
		if out := runDocumented(t, page, dir, command, g, "KEY="+key); !strings.Contains(out, "generation") {
			t.Errorf("%s\nsays %s", command, out)
		}
	}
	trust := strings.ReplaceAll(documented(t, "../docs/tls.md", "curl --cacert", ""), "runnel-data", g.args[4])
	if out := runDocumented(t, "../docs/tls.md", dir, trust, g); !strings.Contains(out, `"ready"`) {
		t.Errorf("%s says %s", trust, out)
	}
}
