//go:build linux && cluster

package cluster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/e2e/cluster"
	"github.com/runnelhq/runnel/internal/modelserver"
)

// inside marks the process that has namespaces of its own.
const inside = "CLUSTER_TEST_INSIDE"

var (
	report = flag.String("report", "", "write the fault table into this document")
	bin    string // the folder of the binaries
)

// TestMain runs the tests in namespaces of their own, where they may make networks
// and mount file systems, as root or as a user who may make user namespaces.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inside) == "" {
		os.Exit(reexec())
	}
	// What is mounted here is not to be seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "runnel-cluster")
	if err != nil {
		log.Fatal(err)
	}
	bin = dir
	if err := build(); err != nil {
		log.Fatal(err)
	}
	if err := cluster.Bridges(context.Background()); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// reexec runs this program again in namespaces of its own.
func reexec() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if id := os.Getuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		log.Printf("no namespaces of one's own can be made here: %v", err)
		return 1
	}
	return 0
}

// build builds the gateway and the NATS server.
func build() error {
	for name, pkg := range map[string]string{"runnel": "../../cmd/runnel", "nats-server": "github.com/nats-io/nats-server/v2"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// The models of a rig.
const (
	goesOn     = "goes-on"
	beginsAnew = "begins-anew"
)

// A rig is a running cluster, a model server that outlives its nodes, and a client
// that reaches the nodes through a balancer.
type rig struct {
	*cluster.Cluster
	gw *client.Client
}

// newRig starts a cluster whose nodes have the given roles. The model says tps
// tokens a second.
func newRig(t *testing.T, tps int, roles ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	settings := filepath.Join(dir, "runnel.yaml")
	model := startModel(t, tps)
	// One model goes on with the text of a worker that has died, the other begins anew.
	err := os.WriteFile(settings, fmt.Appendf(nil, "models:\n  %s: [%q]\n  %s: [%q]\n", goesOn, model+"&prefill=continue_final_message", beginsAnew, model), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	o := cluster.Options{
		Runnel: filepath.Join(bin, "runnel"), NATS: filepath.Join(bin, "nats-server"), Dir: dir, Namespaces: true,
		Disk: func(folder string) error { return mount(t, folder) },
	}
	for i, role := range roles {
		o.Nodes[i] = []string{"--config", settings, "--role", role, "--heartbeat", "1s", "--drain-timeout", "2s", "--retries", "0"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := cluster.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if t.Failed() {
			for _, p := range c.Processes() {
				t.Logf("the log of %s:\n%s", p.Name, p.Log())
			}
		}
	})
	var gateways []string
	for i, role := range roles {
		if role != "worker" {
			gateways = append(gateways, c.URLs[i])
		}
	}
	b, err := cluster.NewBalancer(t.Context(), gateways...)
	if err != nil {
		t.Fatal(err)
	}
	gw, err := client.New("http://cluster", client.WithHTTPClient(&http.Client{Transport: b}))
	if err != nil {
		t.Fatal(err)
	}
	return &rig{c, gw}
}

// startModel serves a stand-in for a model vendor beside the cluster, and returns
// the settings that make it a model.
func startModel(t *testing.T, tps int) string {
	t.Helper()
	var o modelserver.Options
	if err := o.Set(fmt.Sprintf("ttft=20ms tps=%d", tps)); err != nil {
		t.Fatal(err)
	}
	s := modelserver.New(o)
	ln, err := net.Listen("tcp", cluster.Outside+":0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return fmt.Sprintf("openai/test?base_url=http://%s/v1", ln.Addr())
}
