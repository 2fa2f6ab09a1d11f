package natslog

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

// maxTopic keeps subjects within what servers and their logs like.
const maxTopic = 512

// Broadcast implements [runnel.Bus].
func (e *Engine) Broadcast(topic string, data []byte) error {
	if len(topic) > maxTopic {
		return fail(runnel.Errorf(runnel.Invalid, "the topic has %d bytes; the limit is %d", len(topic), maxTopic), "broadcast")
	}
	if err := e.conn.nc.Publish(busPrefix+token(topic), data); err != nil {
		return fail(err, "broadcast")
	}
	return nil
}

// Listen implements [runnel.Bus].
func (e *Engine) Listen(ctx context.Context, ready func(), f func(topic string, data []byte)) error {
	sub, err := e.conn.nc.SubscribeSync(busPrefix + "*")
	if err != nil {
		return fail(err, "listen")
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	if err := e.conn.flush(ctx); err != nil {
		return fail(err, "listen")
	}
	if ready != nil {
		ready()
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrSlowConsumer):
			e.log.Warn("broadcast messages were lost")
		case err != nil:
			return fail(err, "listen")
		default:
			if topic, ok := untoken(strings.TrimPrefix(m.Subject, busPrefix)); ok {
				f(topic, m.Data)
			}
		}
	}
}
