package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	maxPayload   = 8 << 20
	startTimeout = 10 * time.Second
	// syncInterval bounds what a power cut can take of the events, which are
	// not synced one by one. The server's own default is two minutes.
	syncInterval = time.Second
)

// embed starts a server in this process, without a port, and connects to it.
func (e *Engine) embed() error {
	if e.config.Dir == "" {
		return errors.New("neither a data directory nor the URL of a NATS server is set")
	}
	if err := os.MkdirAll(e.config.Dir, 0o700); err != nil {
		return err
	}
	unlock, err := lockFile(filepath.Join(e.config.Dir, "lock"))
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be locked; is another process using it? %w", e.config.Dir, err)
	}
	e.unlock = unlock
	e.server, err = server.NewServer(&server.Options{
		ServerName:   "runnel",
		DontListen:   true,
		JetStream:    true,
		StoreDir:     e.config.Dir,
		SyncAlways:   true,
		SyncInterval: syncInterval,
		MaxPayload:   maxPayload,
		NoSigs:       true,
	})
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	e.server.SetLoggerV2(natsLogger{e.config.Logger.With("component", "nats")}, false, false, false)
	e.server.Start()
	if !e.server.ReadyForConnections(startTimeout) || !e.server.JetStreamEnabled() {
		return errors.New("the server did not start; its log says why")
	}
	if err := e.conn.connect("", append(e.options(), nats.InProcessServer(e.server))...); err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	return nil
}

// natsLogger gives the server's warnings and errors to slog. The rest is about
// the server's own life, which is ours.
type natsLogger struct{ log *slog.Logger }

func (natsLogger) Noticef(string, ...any) {}
func (natsLogger) Debugf(string, ...any)  {}
func (natsLogger) Tracef(string, ...any)  {}

func (l natsLogger) Warnf(format string, args ...any)  { l.write(slog.LevelWarn, format, args) }
func (l natsLogger) Errorf(format string, args ...any) { l.write(slog.LevelError, format, args) }
func (l natsLogger) Fatalf(format string, args ...any) { l.write(slog.LevelError, format, args) }

func (l natsLogger) write(level slog.Level, format string, args []any) {
	l.log.Log(context.Background(), level, "server message", "text", fmt.Sprintf(format, args...))
}
