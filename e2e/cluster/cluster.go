//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// size is how many there are of each: as many as it takes to lose one.
const size = 3

// Options say how a cluster is made.
type Options struct {
	Runnel, NATS string // the binaries
	Dir          string // for data and configuration
	Namespaces   bool
	// Disk, if not nil, is called with the folder of each NATS server's data before
	// it is used, to mount a disk there.
	Disk func(folder string) error
	// Nodes has the arguments of each node's serve command, beyond those that all
	// have.
	Nodes [size][]string
}

// A Cluster is three NATS servers and three nodes.
type Cluster struct {
	NATS  [size]*Process
	Nodes [size]*Process
	URLs  [size]string // of the nodes, for clients

	Servers [size]string // URLs of the NATS servers
	Stores  [size]string // their folders
	hosts   []*host
}

// New starts a cluster. After an error nothing of it is left.
func New(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, &o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o *Options) error {
	for n := range 2 * size {
		h := loopback()
		if o.Namespaces {
			var err error
			if h, err = namespace(ctx, n+1); err != nil {
				return err
			}
		}
		c.hosts = append(c.hosts, h)
	}
	if err := errors.Join(c.addServers(o), c.addNodes(o)); err != nil {
		return err
	}
	for _, p := range c.NATS { // all at once: they wait for each other
		if err := p.launch(); err != nil {
			return err
		}
	}
	for _, p := range c.NATS {
		if err := p.Await(ctx); err != nil {
			return err
		}
	}
	for _, p := range c.Nodes {
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close kills all processes.
func (c *Cluster) Close() {
	for _, p := range append(c.Nodes[:], c.NATS[:]...) {
		if p != nil {
			p.Kill()
		}
	}
	for _, h := range c.hosts {
		h.close()
	}
}

// Processes returns all six, the NATS servers first.
func (c *Cluster) Processes() []*Process { return append(c.NATS[:], c.Nodes[:]...) }

func (c *Cluster) addServers(o *Options) error {
	var routes []string
	var ports [size]int
	for i := range size {
		h := c.hosts[i]
		client, err := h.port(4222)
		if err != nil {
			return err
		}
		if ports[i], err = h.port(6222); err != nil {
			return err
		}
		c.Servers[i] = fmt.Sprintf("nats://%s:%d", h.inside, client)
		routes = append(routes, fmt.Sprintf("nats://%s:%d", h.inside, ports[i]))
	}
	for i := range size {
		name := "nats" + strconv.Itoa(i)
		c.Stores[i] = filepath.Join(o.Dir, name)
		if err := os.MkdirAll(c.Stores[i], 0o700); err != nil {
			return err
		}
		if o.Disk != nil {
			if err := o.Disk(c.Stores[i]); err != nil {
				return err
			}
		}
		file := filepath.Join(o.Dir, name+".conf")
		// Servers notice a partition by pings: in seconds here, not in minutes.
		err := os.WriteFile(file, fmt.Appendf(nil, `server_name: %s
listen: %q
max_payload: 8MB
ping_interval: "2s"
write_deadline: "5s"
jetstream { store_dir: %q }
cluster {
  name: runnel
  listen: "%s:%d"
  routes: [%s]
  ping_interval: "2s"
}
`, name, strings.TrimPrefix(c.Servers[i], "nats://"), c.Stores[i], c.hosts[i].inside, ports[i], strings.Join(routes, ", ")), 0o600)
		if err != nil {
			return err
		}
		server := c.Servers[i]
		c.NATS[i] = &Process{Name: name, host: c.hosts[i], argv: []string{o.NATS, "--config", file}, ready: func(ctx context.Context) error {
			return clustered(ctx, server)
		}}
	}
	return nil
}

func (c *Cluster) addNodes(o *Options) error {
	for i := range size {
		h := c.hosts[size+i]
		port, err := h.port(8080)
		if err != nil {
			return err
		}
		address := fmt.Sprintf("%s:%d", h.outside, port)
		c.URLs[i] = "http://" + address
		argv := []string{o.Runnel, "serve", "--listen", address, "--insecure", "--nats-url", strings.Join(c.Servers[:], ",")}
		url := c.URLs[i]
		c.Nodes[i] = &Process{Name: "runnel" + strconv.Itoa(i), host: h, argv: append(argv, o.Nodes[i]...), ready: func(ctx context.Context) error {
			return Ready(ctx, url)
		}}
	}
	return nil
}

// Leader returns the index of the NATS server that leads a stream.
func (c *Cluster) Leader(ctx context.Context, stream string) (int, error) {
	nc, err := nats.Connect(strings.Join(c.Servers[:], ","))
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	for i, p := range c.NATS {
		if s.CachedInfo().Cluster.Leader == p.Name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s has no leader", stream)
}

// clustered reports whether a server is one of a cluster that can be used.
func clustered(ctx context.Context, url string) error {
	nc, err := nats.Connect(url, nats.NoReconnect(), nats.Timeout(time.Second))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	return err
}

// Ready returns nil if the node at the URL is ready, and else why it is not.
func Ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only its head matters
	if resp.StatusCode != http.StatusOK {
		return errors.New("it says " + resp.Status)
	}
	return nil
}
