package natslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// requestTimeout bounds each request, whatever time its caller has.
const requestTimeout = 10 * time.Second

// The headers that JetStream gives messages, and what we tell it in them.
const (
	headerSeq      = "Nats-Sequence"
	headerTime     = "Nats-Time-Stamp"
	headerSubject  = "Nats-Subject"
	headerLast     = "Nats-Last-Sequence" // of the subject if live, of the answer if read
	headerExpect   = "Nats-Expected-Last-Subject-Sequence"
	headerExpectOn = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerStatus   = "Status"
)

const (
	statusEnd          = "204"
	statusTimeout      = "408"
	statusNone         = "404"
	statusNoResponders = "503"
	apiGet             = "$JS.API.STREAM.MSG.GET." // answered by the stream's leader
	apiGetFast         = "$JS.API.DIRECT.GET."     // answered by any replica, which may lag
	apiInfo            = "$JS.API.STREAM.INFO."
	apiNext            = "$JS.API.CONSUMER.MSG.NEXT."
	timeFormat         = time.RFC3339Nano
	noSequence         = ^uint64(0) // publish: expect nothing
	batchLength        = 256
	batchBytes         = 256 << 10
)

// A conn speaks to JetStream, bounded in time and without its client's layers.
type conn struct {
	nc *nats.Conn
	// closed is closed by the engine's Close: whoever waits on a subscription
	// would not be told otherwise.
	closed chan struct{}
	// remote says that the streams may have replicas, which may lag.
	remote bool
}

// A message is what a stream holds.
type message struct {
	subject string
	seq     uint64
	prev    uint64 // what the subject ended with before; 0 also if all of that had expired
	time    time.Time
	data    []byte
}

// request asks and waits for the one answer.
func (c *conn) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	return c.requestWithin(ctx, requestTimeout, m)
}

func (c *conn) requestWithin(ctx context.Context, limit time.Duration, m *nats.Msg) (*nats.Msg, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := c.nc.RequestMsgWithContext(bounded, m)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, errNoAnswer
	}
	return answer, err
}

// flush returns when the server has seen all that was sent before.
func (c *conn) flush(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := c.nc.FlushWithContext(bounded)
	if bounded.Err() != nil && ctx.Err() == nil {
		return errNoAnswer
	}
	return err
}

// publish stores data and returns its sequence. Unless expect is noSequence,
// the subject must end with it, else the error is errConflict. The header may
// be nil.
func (c *conn) publish(ctx context.Context, subject string, data []byte, expect uint64, header nats.Header) (uint64, error) {
	return c.publishWithin(ctx, requestTimeout, subject, data, expect, header)
}

func (c *conn) publishWithin(ctx context.Context, limit time.Duration, subject string, data []byte, expect uint64, header nats.Header) (uint64, error) {
	if expect != noSequence {
		if header == nil {
			header = make(nats.Header, 1)
		}
		header[headerExpect] = []string{strconv.FormatUint(expect, 10)}
	}
	answer, err := c.requestWithin(ctx, limit, &nats.Msg{Subject: subject, Header: header, Data: data})
	if err != nil {
		return 0, err
	}
	return parseAck(answer.Data)
}

// parseAck reads the answer to a publication. For every token there is one,
// and nearly all end with the sequence, so those are spared encoding/json.
func parseAck(data []byte) (uint64, error) {
	const key = `"seq":`
	if i := bytes.LastIndex(data, []byte(key)); i > 0 && bytes.HasPrefix(data, []byte(`{"stream":`)) {
		if seq, err := strconv.ParseUint(string(bytes.TrimSuffix(data[i+len(key):], []byte("}"))), 10, 64); err == nil {
			return seq, nil
		}
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	if ack.Error != nil {
		return 0, apiError(ack.Error)
	}
	return ack.Seq, nil
}

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
	body, err := json.Marshal(q)
	if err != nil {
		return message{}, err
	}
	if c.remote {
		return c.getFromLeader(ctx, stream, body)
	}
	answer, err := c.request(ctx, &nats.Msg{Subject: apiGetFast + stream, Data: body})
	if err != nil {
		return message{}, err
	}
	return parseMessage(answer)
}

func (c *conn) getFromLeader(ctx context.Context, stream string, body []byte) (message, error) {
	answer, err := c.request(ctx, &nats.Msg{Subject: apiGet + stream, Data: body})
	if err != nil {
		return message{}, err
	}
	var r struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		return message{}, fmt.Errorf("read the answer: %w", err)
	}
	if r.Error != nil {
		return message{}, apiError(r.Error)
	}
	m := message{subject: r.Message.Subject, seq: r.Message.Seq, time: r.Message.Time, data: r.Message.Data}
	if len(r.Message.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(r.Message.Header)
		if err != nil {
			return message{}, fmt.Errorf("read the header: %w", err)
		}
		m.prev = number(h, headerExpect)
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
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errNoAnswer)
	defer cancel()
	answers := make(chan *nats.Msg, batchLength+1) // and the one that ends it
	inbox := c.nc.NewInbox()
	sub, err := c.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	if err := c.nc.PublishRequest(apiGetFast+stream, inbox, body); err != nil {
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
				return nil, false, errBroken
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
			return nil, false, errBroken
		}
		last = m.seq
		found = append(found, m)
	}
}

// following returns the next messages that q asks for, as batch does, and
// whether there may be more. It returns none only if the stream has none.
func (c *conn) following(ctx context.Context, stream string, q query) (found []message, more bool, err error) {
	found, more, err = c.batch(ctx, stream, q)
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
	body, err := json.Marshal(struct {
		Subjects string `json:"subjects_filter,omitempty"`
		Offset   int    `json:"offset,omitempty"`
	}{subjects, offset})
	if err != nil {
		return streamInfo{}, err
	}
	answer, err := c.request(ctx, &nats.Msg{Subject: apiInfo + stream, Data: body})
	if err != nil {
		return streamInfo{}, err
	}
	var r struct {
		streamInfo
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		return streamInfo{}, fmt.Errorf("read the answer: %w", err)
	}
	if r.Error != nil {
		return streamInfo{}, apiError(r.Error)
	}
	return r.streamInfo, nil
}

// number returns a header's value; 0 if it has none.
func number(h nats.Header, name string) uint64 {
	n, _ := strconv.ParseUint(h.Get(name), 10, 64) //nolint:errcheck // the server wrote it
	return n
}
