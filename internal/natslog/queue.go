package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

const (
	// maxWaiting is the most prompts that Waiting returns.
	maxWaiting = 1000
	// pullTime is how long the server keeps a request for a prompt. It is
	// short because a change of leader forgets requests without a word.
	pullTime  = 2 * time.Second
	pullSlack = time.Second
	// removePause is about what a cluster needs to agree on something.
	removePause = 2 * time.Millisecond
)

// Answers to a leased prompt, as JetStream knows them.
const (
	ackDone  = "+ACK"
	ackRenew = "+WPI"
	ackFree  = "-NAK"
)

// Enqueue implements [runnel.Queue].
//
// In a cluster, exclusive is exact among exclusive calls; a prompt that is
// enqueued without it at the same instant may go unnoticed.
func (e *Engine) Enqueue(ctx context.Context, p runnel.Prompt, exclusive bool) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fail(runnel.Errorf(runnel.Invalid, "the prompt cannot be encoded").Because(err), "enqueue %s", p.Generation)
	}
	header := nats.Header{nats.MsgIdHdr: {string(p.Generation)}}
	expect := noSequence
	if exclusive {
		expect = 0
		header[headerExpectOn] = []string{promptSubjects(p.Session)}
	}
	for {
		_, err = e.conn.put(ctx, promptStream, promptSubject(&p), data, expect, header)
		if errors.Is(err, errInFlight) && pause(ctx, retryPause) == nil {
			continue // somebody else is storing it; see what comes of that
		}
		break
	}
	if errors.Is(err, errConflict) {
		if _, err := e.Find(ctx, p.Session, p.Generation); err == nil {
			return nil // it is this one that the session has
		}
		err = runnel.Errorf(runnel.Conflict, "the session has a prompt in the queue already")
	}
	if err != nil {
		return fail(err, "enqueue %s", p.Generation)
	}
	return nil
}

// LeaseTime implements [runnel.Queue].
func (*Engine) LeaseTime() time.Duration { return leaseTime }

// Dequeue implements [runnel.Queue]. It asks for one prompt at a time, so none
// spends its lease in a buffer.
func (e *Engine) Dequeue(ctx context.Context) (runnel.Lease, error) {
	for {
		m, err := e.pull(ctx)
		switch {
		case errors.Is(err, errNone):
			continue
		case errors.Is(err, nats.ErrNoResponders):
			// No leader, or somebody has deleted the consumer.
			if err = e.prepareWorkers(ctx); err == nil {
				err = pause(ctx, retryPause)
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if err == nil {
				continue
			}
		case err == nil:
			l, err := e.newLease(m)
			if err == nil {
				return l, nil
			}
			// It stays in the queue: a newer version may be able to read it.
			e.log.Error("prompt cannot be read", "subject", m.Subject, "err", err)
			continue
		}
		return nil, fail(err, "dequeue")
	}
}

// pull asks the server for a prompt; errNone means that there was none in time.
func (e *Engine) pull(ctx context.Context) (*nats.Msg, error) {
	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
	}{1, pullTime})
	if err != nil {
		return nil, err
	}
	answers := make(chan *nats.Msg, 2) // a prompt, and a status that comes too late
	inbox := e.conn.nc.NewInbox()
	sub, err := e.conn.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, err
	}
	var m *nats.Msg
	if err = e.conn.nc.PublishRequest(apiNext+promptStream+"."+workers, inbox, request); err == nil {
		m, err = e.pulled(ctx, answers)
	}
	_ = sub.Unsubscribe() // fails only if the connection is closed
	select {
	case late := <-answers:
		if late.Reply != "" {
			_ = late.Respond([]byte(ackFree)) // or its lease will run out
		}
	default:
	}
	return m, err
}

// pulled waits for the answer to a pull.
func (e *Engine) pulled(ctx context.Context, answers <-chan *nats.Msg) (*nats.Msg, error) {
	timer := time.NewTimer(pullTime + pullSlack)
	defer timer.Stop()
	select {
	case m := <-answers:
		switch m.Header.Get(headerStatus) {
		case "":
			return m, nil
		case statusNoResponders:
			return nil, nats.ErrNoResponders
		case statusTimeout:
			return nil, errNone
		}
		// The consumer has as many requests or leases as it may have, or a new
		// leader.
		if err := pause(ctx, retryPause); err != nil {
			return nil, err
		}
		return nil, errNone
	case <-timer.C:
		return nil, errNone
	case <-e.conn.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Waiting implements [runnel.Queue].
func (e *Engine) Waiting(ctx context.Context, id runnel.SessionID) ([]runnel.Prompt, error) {
	var prompts []runnel.Prompt
	err := e.conn.eachNow(ctx, promptStream, query{Seq: 1, NextFor: promptSubjects(id)}, func(m message) error {
		if len(prompts) == maxWaiting {
			return errEnough
		}
		var p runnel.Prompt
		if err := json.Unmarshal(m.data, &p); err != nil {
			return fmt.Errorf("read a prompt: %w", err)
		}
		prompts = append(prompts, p)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fail(err, "prompts of %s", id)
	}
	return prompts, nil
}

// Find implements [runnel.Queue].
func (e *Engine) Find(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Prompt, error) {
	m, err := e.conn.last(ctx, promptStream, runSubject(promptPrefix, id, gen)+".*")
	var p runnel.Prompt
	switch {
	case errors.Is(err, errNone):
		err = runnel.Errorf(runnel.NotFound, "no such prompt in the queue")
	case err == nil:
		err = json.Unmarshal(m.data, &p)
	}
	if err != nil {
		return runnel.Prompt{}, fail(err, "find %s", gen)
	}
	return p, nil
}

// Depth implements [runnel.Queue].
func (e *Engine) Depth(ctx context.Context) (int, error) {
	info, err := e.conn.info(ctx, promptStream, "", 0)
	if err != nil {
		return 0, fail(err, "depth")
	}
	return int(info.State.Messages), nil
}

// Active implements [runnel.Queue]. The leader counts the subjects; what it
// costs grows with the queue, so only who has a limit is counted.
func (e *Engine) Active(ctx context.Context, account string) (int, error) {
	info, err := e.conn.info(ctx, promptStream, promptPrefix+"*.*."+accountToken(account), 0)
	if err != nil {
		return 0, fail(err, "count prompts")
	}
	return info.Total, nil
}

// lease implements [runnel.Lease].
type lease struct {
	engine *Engine
	reply  string // where the server takes answers about this lease
	seq    uint64 // of the prompt
	prompt runnel.Prompt

	given time.Time
	// until is when the server takes the lease for void, at the latest, in
	// nanoseconds after given.
	until atomic.Int64
}

func (e *Engine) newLease(m *nats.Msg) (*lease, error) {
	l := &lease{engine: e, reply: m.Reply, given: time.Now()}
	l.until.Store(int64(leaseTime))
	meta, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	l.seq = meta.Sequence.Stream
	if err := json.Unmarshal(m.Data, &l.prompt); err != nil {
		return nil, err
	}
	return l, nil
}

// Prompt implements [runnel.Lease].
func (l *lease) Prompt() runnel.Prompt { return l.prompt }

// First implements [runnel.Lease].
func (l *lease) First(ctx context.Context) (bool, error) {
	m, err := l.engine.conn.get(ctx, promptStream, query{Seq: 1, NextFor: promptSubjects(l.prompt.Session)})
	switch {
	case errors.Is(err, errNone):
		return true, nil // somebody else has removed it
	case err != nil:
		return false, fail(err, "look before %s", l.prompt.Generation)
	}
	return m.seq >= l.seq, nil
}

// Renew implements [runnel.Lease]. It does not wait for an answer: a node renews
// a thousand leases every half second, and if one renewal is lost the next
// still comes in time.
func (l *lease) Renew(context.Context) error {
	now, err := l.held()
	if err == nil {
		err = l.engine.conn.nc.Publish(l.reply, []byte(ackRenew))
	}
	if err != nil {
		return fail(err, "renew %s", l.prompt.Generation)
	}
	l.until.Store(int64(now + leaseTime))
	return nil
}

// Remove implements [runnel.Lease].
func (l *lease) Remove(ctx context.Context) error {
	err := l.answer(ctx, ackDone)
	if err == nil && l.engine.conn.remote {
		err = l.removed(ctx)
	}
	if err != nil {
		return fail(err, "remove %s", l.prompt.Generation)
	}
	return nil
}

// removed waits until the prompt is no longer in the stream: a cluster
// acknowledges before that, and whoever looked meanwhile would still find it.
func (l *lease) removed(ctx context.Context) error {
	for {
		_, err := l.engine.conn.get(ctx, promptStream, query{Seq: l.seq})
		if errors.Is(err, errNone) {
			return nil
		}
		if err == nil {
			err = pause(ctx, removePause)
		}
		if err != nil {
			return err
		}
	}
}

// Release implements [runnel.Lease].
func (l *lease) Release(ctx context.Context) error {
	_, err := l.held()
	if err == nil {
		err = l.answer(ctx, ackFree)
	}
	if err != nil {
		return fail(err, "release %s", l.prompt.Generation)
	}
	return nil
}

// held returns how long ago the lease was given, or an error if it is void by
// now. The server would take an answer about it all the same, for the lease of
// whoever has the prompt by then.
func (l *lease) held() (time.Duration, error) {
	now := time.Since(l.given)
	if now >= time.Duration(l.until.Load()) {
		return now, runnel.Errorf(runnel.Conflict, "the lease is void")
	}
	return now, nil
}

// answer tells the server what becomes of the prompt, and waits until it knows.
func (l *lease) answer(ctx context.Context, what string) error {
	_, err := request(ctx, l.engine.conn.nc, &nats.Msg{Subject: l.reply, Data: []byte(what)})
	return err
}
