//go:build !race

package natslog_test

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"testing"

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
	ports, routes := make([]int, 3), make([]*url.URL, 3)
	for i := range routes {
		l, err := net.Listen("tcp", "127.0.0.1:0") // all must know each other before they start
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes[i] = &url.URL{Scheme: "nats", Host: l.Addr().String()}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	servers := make([]*server.Server, len(ports))
	for i, port := range ports {
		var err error
		servers[i], err = server.NewServer(&server.Options{
			ServerName: strconv.Itoa(i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		servers[i].Start()
		t.Cleanup(func() {
			servers[i].Shutdown()
			servers[i].WaitForShutdown()
		})
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
