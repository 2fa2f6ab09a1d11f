package natslog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/logtest"
	"github.com/runnelhq/runnel/internal/natslog"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		runVictim(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	logtest.Run(t, logtest.Harness{
		Open:       func(t *testing.T) runnel.Engine { return open(t, natslog.Config{Dir: t.TempDir()}) },
		Checkpoint: checkpoint,
		Expire:     expire,
	})
}

func TestRemote(t *testing.T) {
	t.Parallel()
	logtest.Run(t, logtest.Harness{
		Open: func(t *testing.T) runnel.Engine {
			return open(t, natslog.Config{URL: startServer(t, t.TempDir(), -1).ClientURL()})
		},
		Expire: expire,
	})
}

func open(t *testing.T, c natslog.Config) *natslog.Engine {
	t.Helper()
	e, err := natslog.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func expire(t *testing.T, e runnel.Engine, upTo runnel.Cursor) {
	if err := e.(*natslog.Engine).Purge(t.Context(), upTo.Seq); err != nil {
		t.Fatal(err)
	}
}

// startServer runs a NATS server of its own on a loopback port; any free one if
// port is -1.
func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

const logFolder = "jetstream/$G/streams/RUNNEL_LOG"

// checkpoint copies the stream of events, and returns a function that replaces
// it by the copy, which is what a crash that loses its tail comes to.
func checkpoint(t *testing.T, re runnel.Engine) func(runnel.Engine) runnel.Engine {
	t.Helper()
	e := re.(*natslog.Engine)
	end, err := e.LogEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(e.Dir(), logFolder)
	var saved string
	err = natslog.Await(t.Context(), func() bool {
		saved = t.TempDir()
		copyTree(t, filepath.Join(saved, logFolder), folder)
		scratch := t.TempDir() // as the server changes what it opens
		copyTree(t, filepath.Join(scratch, logFolder), filepath.Join(saved, logFolder))
		return storedEnd(t, scratch) == end // else it was not on disk yet
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(re runnel.Engine) runnel.Engine {
		if err := re.(*natslog.Engine).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		copyTree(t, folder, filepath.Join(saved, logFolder))
		return open(t, natslog.Config{Dir: e.Dir()})
	}
}

func copyTree(t *testing.T, dst, src string) {
	t.Helper()
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
}

// storedEnd returns the last sequence of the events in a data directory.
func storedEnd(t *testing.T, dir string) uint64 {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "RUNNEL_LOG")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}
