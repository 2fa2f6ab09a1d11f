package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	timeFormat = time.RFC3339Nano
	// One batch is one read of the stream, and what a reader far behind gets at
	// a time.
	batchLength = 256
	batchBytes  = 256 << 10
)

// A query says which messages of a stream to get.
type query struct {
	Seq      uint64     `json:"seq,omitempty"`          // this one or the next
	Since    *time.Time `json:"start_time,omitempty"`   // instead of Seq
	NextFor  string     `json:"next_by_subj,omitempty"` // of these subjects
	LastFor  string     `json:"last_by_subj,omitempty"` // the last of these subjects
	Batch    int        `json:"batch,omitempty"`
	MaxBytes int        `json:"max_bytes,omitempty"`
}

// last returns the last message on a subject, which may be a pattern, or errNone.
func (c *conn) last(ctx context.Context, stream, subject string) (message, error) {
	return c.get(ctx, stream, query{LastFor: subject})
}

// get returns one message, or errNone. It sees everything that was stored
// before the call.
func (c *conn) get(ctx context.Context, stream string, q query) (message, error) {
	if c.remote {
		return c.getFromLeader(ctx, stream, q)
	}
	body, err := json.Marshal(q)
	if err != nil {
		return message{}, err
	}
	answer, err := c.ask(ctx, apiGetFast+stream, body)
	if err != nil {
		return message{}, err
	}
	return parseMessage(answer)
}

func (c *conn) getFromLeader(ctx context.Context, stream string, q query) (message, error) {
	var r struct {
		apiAnswer
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := c.api(ctx, apiGet+stream, q, &r); err != nil {
		return message{}, err
	}
	m := message{subject: r.Message.Subject, seq: r.Message.Seq, time: r.Message.Time, data: r.Message.Data}
	if len(r.Message.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(r.Message.Header)
		if err != nil {
			return message{}, fmt.Errorf("read the header: %w", err)
		}
		m.prev, m.writer = number(h, headerExpect), h.Get(headerWriter)
	}
	return m, nil
}

// parseMessage reads an answer to a direct get: a stored message, or a status.
func parseMessage(answer *nats.Msg) (message, error) {
	switch status := answer.Header.Get(headerStatus); status {
	case "":
	case statusNone:
		return message{}, errNone
	default:
		return message{}, fmt.Errorf("the server says %s %s", status, answer.Header.Get("Description"))
	}
	stored, err := time.Parse(timeFormat, answer.Header.Get(headerTime))
	if err != nil {
		return message{}, fmt.Errorf("read the header: %w", err)
	}
	return message{
		subject: answer.Header.Get(headerSubject),
		seq:     number(answer.Header, headerSeq),
		prev:    number(answer.Header, headerExpect),
		time:    stored,
		writer:  answer.Header.Get(headerWriter),
		data:    answer.Data,
	}, nil
}

// batch returns the next messages that q asks for, in order and without a hole,
// and whether there are more. A replica that lags may answer with fewer.
func (c *conn) batch(ctx context.Context, stream string, q query) (found []message, more bool, err error) {
	q.Batch, q.MaxBytes = batchLength, batchBytes
	body, err := json.Marshal(q)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tryTimeout, errNoAnswer)
	defer cancel()
	answers := make(chan *nats.Msg, batchLength+1) // and the one that ends it
	inbox := c.reads.NewInbox()
	sub, err := c.reads.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	if err := c.reads.PublishRequest(apiGetFast+stream, inbox, body); err != nil {
		return nil, false, err
	}
	var last uint64 // of this answer
	for {
		var answer *nats.Msg
		select {
		case answer = <-answers:
		case <-c.closed:
			return nil, false, errClosed
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		switch answer.Header.Get(headerStatus) {
		case statusEnd:
			if number(answer.Header, headerLast) != last {
				return nil, false, errNoAnswer // not a whole one
			}
			return found, number(answer.Header, "Nats-Num-Pending") > 0, nil
		case statusNoResponders:
			return nil, false, nats.ErrNoResponders
		}
		m, err := parseMessage(answer)
		if errors.Is(err, errNone) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if number(answer.Header, headerLast) != last {
			return nil, false, errNoAnswer // not a whole one
		}
		last = m.seq
		found = append(found, m)
	}
}

// following returns the next messages that q asks for, as batch does, and
// whether there may be more. It returns none only if the stream has none.
func (c *conn) following(ctx context.Context, stream string, q query) (found []message, more bool, err error) {
	err = c.insist(ctx, func() error {
		found, more, err = c.batch(ctx, stream, q)
		return err
	})
	if err != nil || !c.remote {
		return found, more, err
	}
	if len(found) > 0 {
		return found, true, nil
	}
	// It may be just that this replica has not got it yet.
	m, err := c.get(ctx, stream, q)
	if errors.Is(err, errNone) {
		return nil, false, nil
	}
	return []message{m}, true, err
}

// each calls f for all messages that q asks for, in order, until f returns an
// error.
func (c *conn) each(ctx context.Context, stream string, q query, f func(message) error) error {
	for more := true; more; {
		var found []message
		var err error
		if found, more, err = c.following(ctx, stream, q); err != nil {
			return err
		}
		for _, m := range found {
			if err := f(m); err != nil {
				return err
			}
			q.Seq, q.Since = m.seq+1, nil
		}
	}
	return nil
}

// eachNow calls f for all messages that q asks for and that are there now, in
// order, until f returns an error. It asks for one at a time, which the leader
// answers in a cluster: a replica that lags would still show what was removed. So
// it is for streams that things are removed from, and where there are few.
func (c *conn) eachNow(ctx context.Context, stream string, q query, f func(message) error) error {
	for {
		m, err := c.get(ctx, stream, q)
		if errors.Is(err, errNone) {
			return nil
		}
		if err == nil {
			err = f(m)
		}
		if err != nil {
			return err
		}
		q.Seq = m.seq + 1
	}
}

// streamInfo is the part of a stream's state that matters here.
type streamInfo struct {
	Created time.Time `json:"created"`
	State   struct {
		Messages uint64            `json:"messages"`
		LastSeq  uint64            `json:"last_seq"`
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
	Total int `json:"total"` // of Subjects, which come in pages
}

// info asks a stream's leader about it. If subjects is not empty, the answer
// counts the messages on each subject that matches, from offset on.
func (c *conn) info(ctx context.Context, stream, subjects string, offset int) (streamInfo, error) {
	question := struct {
		Subjects string `json:"subjects_filter,omitempty"`
		Offset   int    `json:"offset,omitempty"`
	}{subjects, offset}
	var r struct {
		apiAnswer
		streamInfo
	}
	err := c.api(ctx, apiInfo+stream, question, &r)
	return r.streamInfo, err
}

// number returns a header's value; 0 if it has none.
func number(h nats.Header, name string) uint64 {
	n, _ := strconv.ParseUint(h.Get(name), 10, 64) //nolint:errcheck // the server wrote it
	return n
}
