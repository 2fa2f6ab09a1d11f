package check_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	composeDir = deploy + "/compose"
	password   = "0123456789e5"
)

func project(t *testing.T, environ types.Mapping) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  composeDir,
		ConfigFiles: []types.ConfigFile{{Filename: composeDir + "/compose.yaml"}},
		Environment: environ,
	})
}

func TestComposeFile(t *testing.T) {
	t.Parallel()
	if _, err := project(t, nil); err == nil || !strings.Contains(err.Error(), "write NATS_PASSWORD=… into .env") {
		t.Errorf("without a password: %v", err)
	}
	p, err := project(t, types.Mapping{"NATS_PASSWORD": password})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.ServiceNames(), []string{"nats-1", "nats-2", "nats-3", "proxy", "runnel-1", "runnel-2"}; !slices.Equal(got, want) {
		t.Errorf("the services are %v", got)
	}
	for name, s := range p.Services {
		if (len(s.Ports) > 0) != (name == "proxy") {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		if s.HealthCheck == nil && s.Build == nil { // Runnel's image brings its own
			t.Errorf("%s is without a health check", name)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Restart != "unless-stopped" {
			t.Errorf("%s drops %v and is restarted %s", name, s.CapDrop, s.Restart)
		}
		for on, d := range s.DependsOn {
			if d.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s to be %s", name, on, d.Condition)
			}
		}
		for _, c := range s.Configs {
			if _, err := os.Stat(p.Configs[c.Source].File); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if port := p.Services["proxy"].Ports[0]; port.HostIP != "127.0.0.1" {
		t.Errorf("it is published at %q", port.HostIP)
	}
}

// TestCompose runs what the Compose file describes, but for the containers: its
// NATS servers with their configuration and variables, two nodes with theirs,
// and the proxy.
func TestCompose(t *testing.T) {
	p, err := project(t, types.Mapping{"NATS_PASSWORD": password})
	if err != nil {
		t.Fatal(err)
	}
	hosts := startServers(t, p)
	key, file := newKey(t)
	nodes := map[string]*node{}
	for _, name := range []string{"runnel-1", "runnel-2"} {
		nodes[name] = startMember(t, p.Services[name], hosts, file)
	}
	addr := startProxy(t, nodes)

	events, cursor := ask(t, addr, key)
	if first, last := slices.Index(events, "delta"), slices.Index(events, "generation.done"); first < 0 || last != len(events)-1 {
		t.Errorf("the events are %v", events)
	}
	resp, err := http.Get(addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("/metrics is served to the world: %s", resp.Status)
	}
	// What one node has heard the other one knows.
	for name, n := range nodes {
		if text := get(t, n.url+"/v1/sessions/demo", key); !strings.Contains(text, "Hello") {
			t.Errorf("%s has %s", name, text)
		}
	}
	t.Run("backup", func(t *testing.T) { testClusterBackup(t, p, hosts, file, key, cursor) })
}

// startMember starts a node of the cluster with its variables from the Compose file.
func startMember(t *testing.T, s types.ServiceConfig, hosts *strings.Replacer, file string) *node {
	t.Helper()
	environ := variables(s)
	accept(t, file, environ)
	path := filepath.Join(t.TempDir(), "runnel.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range environ {
		environ[i] = hosts.Replace(environ[i])
	}
	return startNode(t, append(environ, "RUNNEL_CONFIG="+path))
}

func variables(s types.ServiceConfig) (environ []string) {
	for name, value := range s.Environment {
		if value != nil {
			environ = append(environ, name+"="+*value)
		}
	}
	return environ
}

// startServers starts the NATS servers, and returns what stands for their names here.
func startServers(t *testing.T, p *types.Project) *strings.Replacer {
	names := []string{"nats-1", "nats-2", "nats-3"}
	var pairs []string
	routes := map[string]string{}
	for _, name := range names {
		addr := freePort(t)
		routes[name+":6222"] = freePort(t)
		pairs = append(pairs, name+":4222", addr)
	}
	var servers []*server.Server
	for i, name := range names {
		s, err := server.NewServer(serverOptions(t, p.Services[name], routes, name, pairs[2*i+1]))
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers = append(servers, s)
	}
	for _, s := range servers {
		if !s.ReadyForConnections(patience) {
			t.Fatalf("%s is not ready", s.Name())
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(patience); !slices.ContainsFunc(servers, (*server.Server).JetStreamIsLeader); <-tick.C {
		if time.Now().After(giveUp) {
			t.Fatal("the servers find no leader")
		}
	}
	return strings.NewReplacer(pairs...)
}

// serverOptions are those of the configuration file, with addresses and folders
// of this test.
func serverOptions(t *testing.T, s types.ServiceConfig, routes map[string]string, name, addr string) *server.Options {
	t.Helper()
	for _, v := range variables(s) {
		k, value, _ := strings.Cut(v, "=")
		t.Setenv(k, value)
	}
	opts, err := server.ProcessConfigFile(composeDir + "/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if opts.ServerName != name || opts.Password != password || opts.Cluster.Password != password || !opts.SyncAlways || len(opts.Routes) != 3 {
		t.Errorf("%s is %q, its passwords %q and %q, routes %v", name, opts.ServerName, opts.Password, opts.Cluster.Password, opts.Routes)
	}
	if opts.StoreDir != s.Volumes[0].Target {
		t.Errorf("%s stores in %s, its volume is %s", name, opts.StoreDir, s.Volumes[0].Target)
	}
	opts.Host, opts.Port = split(t, addr)
	opts.Cluster.Host, opts.Cluster.Port = split(t, routes[name+":6222"])
	for i, r := range opts.Routes {
		opts.Routes[i] = &url.URL{Scheme: r.Scheme, User: r.User, Host: routes[r.Host]}
	}
	opts.HTTPPort, opts.StoreDir, opts.NoSigs, opts.NoLog = 0, t.TempDir(), true, true
	return opts
}

func split(t *testing.T, addr string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// newKey returns a key and the nodes' configuration with it in, made as
// compose.yaml says.
func newKey(t *testing.T) (key, file string) {
	t.Helper()
	var lines strings.Builder
	cmd := exec.Command(binary, "key", "new")
	cmd.Stderr = &lines
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), read(t, composeDir, "runnel.yaml") + lines.String()
}

// startProxy checks the proxy's configuration as it stands, and starts it with
// the addresses of these nodes.
func startProxy(t *testing.T, nodes map[string]*node) string {
	t.Helper()
	path := composeDir + "/haproxy.cfg"
	if said, err := exec.Command("haproxy", "-c", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	addr := freePort(t)
	pairs := []string{"bind :8080", "bind " + addr}
	for name, n := range nodes {
		pairs = append(pairs, name+":8080", strings.TrimPrefix(n.url, "http://"))
	}
	mine := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(mine, []byte(strings.NewReplacer(pairs...).Replace(read(t, path))), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "haproxy", "-db", "-f", mine)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	await(t, "http://"+addr+"/readyz", log)
	return "http://" + addr
}

// ask hands in a prompt and returns the types of the events up to the end, and
// the cursor of the last.
func ask(t *testing.T, base, key string) (events []string, cursor string) {
	t.Helper()
	resp := request(t, http.MethodPost, base+"/v1/sessions/demo/prompts", `{"prompt":"Hello"}`, map[string]string{
		"Accept": "text/event-stream", "Authorization": "Bearer " + key,
	})
	return follow(t, resp)
}

// follow reads a stream up to the end of a generation.
func follow(t *testing.T, resp *http.Response) (events []string, cursor string) {
	t.Helper()
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event":
			events = append(events, value)
		case field == "id":
			cursor = value
		case field == "" && len(events) > 0 && events[len(events)-1] == "generation.done":
			return events, cursor
		}
	}
	t.Fatalf("%s, %v, after %v", resp.Status, lines.Err(), events)
	return nil, ""
}

func request(t *testing.T, method, address, body string, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func get(t *testing.T, address, key string) string {
	t.Helper()
	resp := request(t, http.MethodGet, address, "", map[string]string{"Authorization": "Bearer " + key})
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + "\n" + string(text)
}
