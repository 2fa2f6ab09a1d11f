package check_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// stages parses the Dockerfile as BuildKit does.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	tree, err := parser.Parse(strings.NewReader(read(t, root, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tree.Warnings {
		t.Error(w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, msg string, at []parser.Range) {
		t.Errorf("line %d: %s: %s", at[0].Start.Line, rule, msg)
	}})
	all, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An image is what the last stage says of it.
type image struct {
	environ             []string
	user, folder        string
	entrypoint, command []string
	health              []string
	volumes             []string
	files               map[string]string // where from, by path in the image
}

func lastStage(t *testing.T) image {
	all := stages(t)
	last := all[len(all)-1]
	if !strings.Contains(last.BaseName, "distroless/static") || !strings.HasSuffix(last.BaseName, ":nonroot") {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	i := image{files: map[string]string{}}
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.EnvCommand:
			for _, v := range c.Env {
				i.environ = append(i.environ, v.String())
			}
		case *instructions.UserCommand:
			i.user = c.User
		case *instructions.WorkdirCommand:
			i.folder = c.Path
		case *instructions.EntrypointCommand:
			i.entrypoint = c.CmdLine
		case *instructions.CmdCommand:
			i.command = c.CmdLine
		case *instructions.HealthCheckCommand:
			i.health = c.Health.Test
		case *instructions.VolumeCommand:
			i.volumes = c.Volumes
		case *instructions.CopyCommand:
			i.files[c.DestPath] = c.From + " " + c.Chown
		}
	}
	return i
}

// TestImage runs the binary as the image does: alone in a root of its own, with
// nothing beside it but certificates, as a user without rights.
func TestImage(t *testing.T) {
	t.Parallel()
	i := lastStage(t)
	if i.user != "65532:65532" || !slices.Equal(i.volumes, []string{"/var/lib/runnel"}) || i.files["/var/lib/runnel"] != "folders 65532:65532" {
		t.Errorf("the image is %+v", i)
	}
	upstream := httptest.NewTLSServer(http.HandlerFunc(answer))
	t.Cleanup(upstream.Close)
	dir := newRoot(t, i, upstream)
	addr := freePort(t)
	n := &node{url: "http://" + addr, log: &logBuffer{}}
	n.cmd = i.run(dir, append(slices.Clone(i.entrypoint), i.command...),
		"RUNNEL_LISTEN="+addr, "RUNNEL_MODEL=openai/test?base_url="+upstream.URL+"/v1", "OPENAI_API_KEY=x")
	n.cmd.Stderr = n.log
	n.run(t)
	if events, _ := ask(t, n.url, ""); !slices.Contains(events, "delta") || events[len(events)-1] != "generation.done" {
		t.Errorf("the events are %v", events)
	}
	if i.health[0] != "CMD" {
		t.Errorf("the health check needs a shell: %v", i.health)
	}
	for server, healthy := range map[string]bool{n.url: true, "http://127.0.0.1:1": false} {
		said, err := i.run(dir, i.health[1:], "RUNNEL_SERVER="+server).CombinedOutput()
		if (err == nil) != healthy {
			t.Errorf("the health check of %s: %v\n%s", server, err, said)
		}
	}
}

// answer is a model behind TLS.
func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, `data: {"choices":[{"delta":{"content":"Hello"}}]}`+"\n\n"+
		`data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// newRoot returns a folder with what is in the image, the certificate of a
// server for those of all authorities.
func newRoot(t *testing.T, i image, upstream *httptest.Server) string {
	dir := t.TempDir()
	for _, parent := range []string{dir, filepath.Dir(dir)} { // for the user without rights
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"usr/bin", "etc/ssl/certs", i.volumes[0], "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, i.entrypoint[0]), program, 0o755)
	}
	if err == nil {
		roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})
		err = os.WriteFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"), roots, 0o644)
	}
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(filepath.Join(dir, i.volumes[0]), nobody, nobody)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// nobody is the user of the image.
const nobody = 65532

// run returns a command in the image. Whoever is not root needs a system that
// lets users have name spaces.
func (i *image) run(dir string, args []string, environ ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = i.folder, append(slices.Clone(i.environ), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	} else {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// TestImageVersions: the image is built with what go.mod asks for, and the stage
// that GoReleaser replaces is there under its name.
func TestImageVersions(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, root, "go.mod"))[1]
	var names []string
	for _, s := range stages(t) {
		names = append(names, s.Name)
		if s.Name == "built" && s.BaseName != "golang:"+version+"-bookworm" {
			t.Errorf("it is built with %s, go.mod asks for %s", s.BaseName, version)
		}
	}
	if !slices.Contains(names, "released") || !slices.Contains(names, "built") {
		t.Errorf("the stages are %v", names)
	}
}
