package natslog_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// restart stops the server and starts another one on its port.
func restart(t *testing.T, s *server.Server, dir string) {
	t.Helper()
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	startServer(t, dir, port)
}

// TestServerRestarts has a reader wait while the servers go away and come back.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, -1)
	e := open(t, natslog.Config{URL: s.ClientURL()})
	first := put(t, e, "s", "0")
	read := make(chan error, 1)
	go func() {
		events, err := e.Read(t.Context(), "s", first)
		if err == nil && events[0].Text != "1" {
			err = errors.New("got " + events[0].Text)
		}
		read <- err
	}()
	if err := natslog.Await(t.Context(), func() bool { return e.Stats().Readers == 1 }); err != nil {
		t.Fatal(err)
	}
	restart(t, s, dir)
	put(t, e, "s", "1")
	if err := <-read; err != nil {
		t.Error(err)
	}
	want(t, e, "s", runnel.Cursor{}, "0", "1")
	if err := e.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestServerReturnsEmpty: another log under the same name is no continuation.
func TestServerReturnsEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	e := open(t, natslog.Config{URL: s.ClientURL()})
	at := put(t, e, "s", "0", "1")
	want(t, e, "s", runnel.Cursor{}, "0", "1") // there is a tail
	restart(t, s, t.TempDir())
	_, err := e.Read(t.Context(), "s", at) // waits until the loss is noticed
	reset, ok := errors.AsType[*runnel.ResetError](err)
	if !ok || !reset.Intact.IsZero() {
		t.Fatalf("read after %s: %v, want a reset", at, err)
	}
	put(t, e, "s", "2")
	want(t, e, "s", runnel.Cursor{}, "2")
}

// TestTwoNodes share what is stored, and lose nothing of each other's.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	one, two := open(t, natslog.Config{URL: s.ClientURL()}), open(t, natslog.Config{URL: s.ClientURL()})
	at := put(t, one, "s", "0")
	want(t, two, "s", runnel.Cursor{}, "0")
	w, err := one.Writer(t.Context(), "s", gen)
	if err != nil {
		t.Fatal(err)
	}
	put(t, two, "s", "1")
	if _, err := w.Append(t.Context(), delta("s", "2")); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*natslog.Engine{one, two} {
		want(t, e, "s", at, "1", "2")
	}
	stop := make(chan runnel.GenerationID)
	ready := make(chan struct{})
	go two.Cancels(t.Context(), func() { close(ready) }, func(id runnel.GenerationID) { stop <- id }) //nolint:errcheck // ends with the test
	<-ready
	if err := one.NotifyCancel(gen); err != nil {
		t.Fatal(err)
	}
	if id := <-stop; id != gen {
		t.Errorf("the other node was told to stop %s", id)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := natslog.Open(t.Context(), natslog.Config{}); err == nil {
		t.Error("opened without a directory or a server")
	}
	_, err := natslog.Open(t.Context(), natslog.Config{URL: "nats://user:secret@127.0.0.1:1"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("open of a server that is not there: %v", err)
	}
}

// TestCutOff: a node whose servers are gone tells its readers, refuses at once what
// it is asked, and recovers by itself.
func TestCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, -1)
	e := open(t, natslog.Config{URL: s.ClientURL()})
	first := put(t, e, "s", "0")
	want(t, e, "s", runnel.Cursor{}, "0") // there is a tail
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	if events, err := e.Read(t.Context(), "s", first); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("a waiting reader got %v, %v", events, err)
	}
	if err := e.Check(t.Context()); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("check: %v", err)
	}
	begin := time.Now()
	if _, err := e.Waiting(t.Context(), "s"); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("prompts: %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("refused after %v", took)
	}
	startServer(t, dir, port)
	if err := natslog.Await(t.Context(), func() bool { return e.Check(t.Context()) == nil }); err != nil {
		t.Fatal(err)
	}
	put(t, e, "s", "1")
	want(t, e, "s", first, "1")
}
