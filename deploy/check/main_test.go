package check_test

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	root   = "../.." // of the sources
	deploy = ".."
)

// binary is Runnel for this machine, built as for a release.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runnel-check")
	if err != nil {
		log.Fatal(err)
	}
	binary = filepath.Join(dir, "runnel")
	if err := build(binary, runtime.GOOS, runtime.GOARCH); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build makes the binary for a system, as a release does.
func build(out, system, arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./cmd/runnel")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build for %s/%s: %w\n%s", system, arch, err, said)
	}
	return nil
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// accept gives a node's environment and configuration to Runnel and returns what
// "runnel config" makes of it.
func accept(t *testing.T, file string, environ []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runnel.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "config", "--config", path)
	cmd.Env = environ
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("runnel refuses\n%s\n%s\n%s", strings.Join(environ, "\n"), file, said)
	}
	return string(said)
}
