//go:build !race

package natslog_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/logtest"
	"github.com/runnelhq/runnel/internal/natslog"
)

// TestPermissions: this is all that a user needs who has nothing but Runnel. The race
// detector has enough with the other servers that the suite runs on.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		Users: []*server.User{{Username: "runnel", Password: "secret", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"runnel.>", "$JS.API.>", "$JS.ACK.>", "_INBOX.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"runnel.>", "_INBOX.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	logtest.Run(t, logtest.Harness{
		Open: func(t *testing.T) runnel.Engine {
			return open(t, natslog.Config{URL: "nats://runnel:secret@" + s.Addr().String()})
		},
	})
}
