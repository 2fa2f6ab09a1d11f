package natslog

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	minMinor      = 12 // of version 2: counters
	reconnectWait = 250 * time.Millisecond
	// A server that is not heard of for three pings is left for another one.
	pingInterval = 2 * time.Second
)

// connect connects to servers that run elsewhere.
func (e *Engine) connect() error {
	opts := e.options()
	if e.config.Credentials != "" {
		opts = append(opts, nats.UserCredentials(e.config.Credentials))
	}
	if e.config.CA != "" {
		opts = append(opts, nats.RootCAs(e.config.CA))
	}
	if e.config.Cert != "" {
		opts = append(opts, nats.ClientCert(e.config.Cert, e.config.Key))
	}
	if err := e.conn.connect(e.config.URL, opts...); err != nil {
		return fmt.Errorf("connect: %w", err) // without the URL: it may hold a password
	}
	var major, minor int
	version := e.conn.nc.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < minMinor {
		return fmt.Errorf("the NATS server is version %s; at least 2.%d is needed", version, minMinor)
	}
	if size := e.conn.nc.MaxPayload(); size < maxPayload {
		e.log.Warn("the NATS server refuses long messages", "max_payload", size, "wanted", maxPayload)
	}
	return nil
}

// options are those of every connection.
func (e *Engine) options() []nats.Option {
	return []nats.Option{
		nats.Name("runnel"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !e.closed.Load() {
				e.log.Warn("connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			e.log.Info("connection restored")
			e.tails.suspect()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			e.log.Warn("connection error", "err", err)
			// Most likely the dispatcher was too slow and something was
			// dropped; whose it was does not matter.
			e.tails.suspect()
		}),
	}
}
