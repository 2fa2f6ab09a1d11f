//go:build !race

package natslog_test

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/logtest"
	"github.com/runnelhq/runnel/internal/natslog"
)

// TestCluster holds the engine to the contract where replicas lag. The race
// detector makes three servers slower than the suite is patient.
func TestCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes three servers")
	}
	urls := startCluster(t)
	next := 0
	logtest.Run(t, logtest.Harness{
		Open: func(t *testing.T) runnel.Engine {
			next++
			return open(t, natslog.Config{URL: urls[next%len(urls)], Replicas: 3})
		},
	})
}

// startCluster runs three NATS servers and returns where they are.
func startCluster(t *testing.T) (urls []string) {
	t.Helper()
	var servers []*server.Server
	for try := 0; servers == nil; try++ {
		if try == 10 {
			t.Fatal("there are no ports for a cluster")
		}
		servers = clusterServers(t)
	}
	err := natslog.Await(t.Context(), func() bool {
		return slices.ContainsFunc(servers, func(s *server.Server) bool {
			return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(servers)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	return urls
}

// clusterServers starts three NATS servers that know each other. It returns nil
// if somebody was faster to take one of the ports that were chosen for them: a
// server without its port would be waited for in vain.
func clusterServers(t *testing.T) []*server.Server {
	t.Helper()
	servers := make([]*server.Server, 3)
	listeners, routes := make([]net.Listener, len(servers)), make([]*url.URL, len(servers))
	for i := range servers {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil { // all must know each other before they start
			t.Fatal(err)
		}
		routes[i] = &url.URL{Scheme: "nats", Host: listeners[i].Addr().String()}
	}
	for i, l := range listeners {
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{
			ServerName: strconv.Itoa(i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers[i] = s
	}
	for i, s := range servers {
		if !s.ReadyForConnections(10 * time.Second) {
			t.Logf("server %d did not get its ports", i)
			for _, s := range servers {
				s.Shutdown()
			}
			return nil
		}
	}
	return servers
}
