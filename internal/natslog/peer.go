package natslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

const (
	// answerTimeout is what a node may take to answer.
	answerTimeout = 5 * time.Second
	// absence is after what time without anybody under its name a node is taken
	// for dead: one whose connection has broken is back sooner.
	absence      = time.Second
	absencePause = 100 * time.Millisecond
)

// Answer implements [runnel.Peers]. An empty request is answered here: it only
// asks whether there is such a node.
func (e *Engine) Answer(ctx context.Context, node string, ready func(), f func(context.Context, []byte) []byte) error {
	sub, err := e.conn.nc.SubscribeSync(nodePrefix + token(node))
	if err != nil {
		return fail(err, "answer as %s", node)
	}
	var calls errgroup.Group
	calls.SetLimit(runnel.MaxAnswers)
	defer calls.Wait()      //nolint:errcheck // they return none
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	if err := e.conn.flush(ctx); err != nil {
		return fail(err, "answer as %s", node)
	}
	if ready != nil {
		ready()
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrSlowConsumer):
			e.log.Warn("requests of other nodes were lost") // they are told by the silence
		case err != nil:
			return fail(err, "answer as %s", node)
		case len(m.Data) == 0:
			e.respond(m, nil)
		default:
			calls.Go(func() error {
				e.respond(m, f(ctx, m.Data))
				return nil
			})
		}
	}
}

func (e *Engine) respond(m *nats.Msg, answer []byte) {
	if err := m.Respond(answer); err != nil && !e.closed.Load() {
		e.log.Warn("another node was not answered", "err", err)
	}
}

// Ask implements [runnel.Peers].
func (e *Engine) Ask(ctx context.Context, node string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	for begin := time.Now(); ; {
		answer, err := e.conn.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: nodePrefix + token(node), Data: body})
		switch {
		case err == nil:
			return answer.Data, nil
		case errors.Is(context.Cause(ctx), errNoAnswer):
			err = errNoAnswer // the deadline is ours
		case errors.Is(err, nats.ErrNoResponders) && time.Since(begin) > absence:
			err = runnel.Errorf(runnel.Gone, "there is no such node").Because(err)
		case errors.Is(err, nats.ErrNoResponders) && pause(ctx, absencePause) == nil:
			continue
		}
		return nil, fail(err, "ask node %s", node)
	}
}

// present reports whether there is a node of the name, as far as can be said.
func (e *Engine) present(ctx context.Context, node string) (bool, error) {
	_, err := e.Ask(ctx, node, nil)
	switch runnel.KindOf(err) {
	case runnel.Gone:
		return false, nil
	case runnel.Unavailable: // it is slow, or we are cut off
		return true, nil
	default:
		return err == nil, err
	}
}

// absent returns those of the nodes that have died.
func (e *Engine) absent(ctx context.Context, nodes map[string]bool) (map[string]bool, error) {
	dead := make(map[string]bool)
	found := make(chan string, len(nodes))
	var asking errgroup.Group
	asking.SetLimit(runnel.MaxAnswers)
	for node := range nodes {
		asking.Go(func() error {
			alive, err := e.present(ctx, node)
			if err == nil && !alive {
				found <- node
			}
			return err
		})
	}
	err := asking.Wait()
	close(found)
	for node := range found {
		dead[node] = true
	}
	if err != nil {
		return nil, fmt.Errorf("look for nodes: %w", err)
	}
	return dead, nil
}
