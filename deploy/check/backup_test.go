package check_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/jsm.go"
	"github.com/nats-io/nats.go"
)

// testClusterBackup brings the streams of one cluster to another, as `nats account
// backup` and `restore` do, and looks whether a client notices.
func testClusterBackup(t *testing.T, p *types.Project, hosts *strings.Replacer, file, key, cursor string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	from := manager(t, hosts)
	streams, err := from.StreamNames(nil)
	if err != nil || len(streams) < 8 {
		t.Fatalf("the streams are %v, %v", streams, err)
	}
	for _, name := range streams {
		stream, err := from.LoadStream(name)
		if err == nil {
			_, err = stream.SnapshotToDirectory(ctx, filepath.Join(dir, name), jsm.SnapshotConsumers(), jsm.SnapshotHealthCheck())
		}
		if err != nil {
			t.Fatalf("back up %s: %v", name, err)
		}
	}

	hosts = startServers(t, p)
	to := manager(t, hosts)
	for _, name := range streams {
		if _, _, err := to.RestoreSnapshotFromDirectory(ctx, name, filepath.Join(dir, name)); err != nil {
			t.Fatalf("restore %s: %v", name, err)
		}
	}
	n := startMember(t, p.Services["runnel-1"], hosts, file)
	if text := get(t, n.url+"/v1/sessions/demo", key); !strings.Contains(text, "Hello") {
		t.Errorf("the session is %s", text)
	}
	viewer := request(t, http.MethodGet, n.url+"/v1/sessions/demo/events", "", map[string]string{
		"Accept": "text/event-stream", "Authorization": "Bearer " + key, "Last-Event-ID": cursor,
	})
	ask(t, n.url, key)
	// The streams are others, so the cursor is of another log: it is told so, and goes on.
	if events, _ := follow(t, viewer); events[0] != "reset" || !slices.Contains(events, "generation.queued") {
		t.Errorf("a viewer with a cursor from before sees %v", events)
	}
}

// manager returns what speaks to the servers as Runnel does.
func manager(t *testing.T, hosts *strings.Replacer) *jsm.Manager {
	t.Helper()
	nc, err := nats.Connect(hosts.Replace("nats://runnel:" + password + "@nats-1:4222"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	m, err := jsm.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
