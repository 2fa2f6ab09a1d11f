package natslog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Whatever time its caller has, a call is given up after callTimeout, and tried
// again after tryTimeout if it can be: the answer may have got lost.
const (
	callTimeout = 10 * time.Second
	tryTimeout  = 2 * time.Second
)

// The headers that JetStream gives messages, and what we tell it in them.
const (
	headerSeq      = "Nats-Sequence"
	headerTime     = "Nats-Time-Stamp"
	headerSubject  = "Nats-Subject"
	headerLast     = "Nats-Last-Sequence" // of the subject if live, of the answer if read
	headerExpect   = "Nats-Expected-Last-Subject-Sequence"
	headerExpectOn = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerStatus   = "Status"
	headerWriter   = "Runnel-Writer" // ours
)

// What the status header says. A stored message has none.
const (
	statusEnd          = "204" // of an answer in several messages
	statusNone         = "404"
	statusTimeout      = "408"
	statusNoResponders = "503"
)

// Where requests go. The names of a stream and a consumer follow.
const (
	apiGet     = "$JS.API.STREAM.MSG.GET." // answered by the stream's leader
	apiGetFast = "$JS.API.DIRECT.GET."     // answered by any replica, which may lag
	apiInfo    = "$JS.API.STREAM.INFO."
	apiPurge   = "$JS.API.STREAM.PURGE."
	apiNext    = "$JS.API.CONSUMER.MSG.NEXT."
)

// noSequence lets a subject end with anything.
const noSequence = ^uint64(0)

// A conn speaks to JetStream, bounded in time and without its client's layers.
type conn struct {
	nc *nats.Conn
	// reads is a connection of its own for what is read and delivered: the
	// server answers one connection's requests one after the other, and an
	// append must not wait for somebody's history.
	reads *nats.Conn
	// closed is closed by the engine's Close: whoever waits on a subscription
	// would not be told otherwise.
	closed chan struct{}
	// remote says that the streams may have replicas, which may lag.
	remote bool
	reach  *reach
}

// A message is what a stream holds.
type message struct {
	subject string
	seq     uint64
	prev    uint64 // what the subject ended with before; 0 also if all of that had expired
	time    time.Time
	writer  string // who appended it, in a cluster
	data    []byte
}

// connect opens the connections.
func (c *conn) connect(url string, options ...nats.Option) (err error) {
	for _, nc := range []**nats.Conn{&c.nc, &c.reads} {
		if *nc, err = nats.Connect(url, options...); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) close() {
	for _, nc := range []*nats.Conn{c.nc, c.reads} {
		if nc != nil {
			nc.Close()
		}
	}
}

// request asks once and waits for the answer. errNoAnswer means that the
// server may have got it or not: what is on its way when a connection breaks is
// lost without a word.
func request(ctx context.Context, nc *nats.Conn, m *nats.Msg) (*nats.Msg, error) {
	if ctx.Done() == nil {
		// As for the events of a generation: no interrupt cuts them short, so
		// a timer will do, and that is much cheaper than a context.
		answer, err := nc.RequestMsg(m, tryTimeout)
		if errors.Is(err, nats.ErrTimeout) {
			err = errNoAnswer
		}
		return answer, err
	}
	bounded, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	answer, err := nc.RequestMsgWithContext(bounded, m)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, errNoAnswer
	}
	return answer, err
}

// ask reads: it requests what can be asked for twice, until there is an answer.
func (c *conn) ask(ctx context.Context, subject string, data []byte) (answer *nats.Msg, err error) {
	err = c.insist(ctx, func() error {
		answer, err = request(ctx, c.reads, &nats.Msg{Subject: subject, Data: data})
		return err
	})
	return answer, err
}

// api asks JetStream's API for what can be asked for twice, and reads the
// answer into one.
func (c *conn) api(ctx context.Context, subject string, question any, answer apiFailure) error {
	return c.insist(ctx, func() error { return c.askOnce(ctx, subject, question, answer) })
}

func (c *conn) askOnce(ctx context.Context, subject string, question any, answer apiFailure) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	m, err := request(ctx, c.reads, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return answer.failure()
}

// An apiFailure is an answer that may be a failure.
type apiFailure interface{ failure() error }

// An apiAnswer is what all answers of the API have.
type apiAnswer struct {
	Error *jetstream.APIError `json:"error"`
}

func (a *apiAnswer) failure() error {
	if a.Error != nil {
		return apiError(a.Error)
	}
	return nil
}

// insist calls f again while it gets no answer or there is no leader who could
// give one, for no longer than callTimeout, and not at all while the node is cut
// off.
func (c *conn) insist(ctx context.Context, f func() error) error {
	for end := time.Now().Add(callTimeout); ; {
		if c.reach.lost() {
			return errCutOff
		}
		err := f()
		again := errors.Is(err, errNoAnswer) || noLeader(err) && pause(ctx, retryPause) == nil
		if !again || time.Now().After(end) {
			return err
		}
	}
}

// noLeader reports whether nobody could answer just now.
func noLeader(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, errNoLeader)
}

// flush returns when the server has seen all that was sent before.
func (c *conn) flush(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := c.nc.FlushWithContext(bounded)
	if bounded.Err() != nil && ctx.Err() == nil {
		return errNoAnswer
	}
	return err
}

// publish stores data and returns its sequence. Unless expect is noSequence,
// the subject must end with it, else the error is errConflict. It tries once;
// the header may be nil.
func (c *conn) publish(ctx context.Context, subject string, data []byte, expect uint64, header nats.Header) (uint64, error) {
	if expect != noSequence {
		if header == nil {
			header = make(nats.Header, 1)
		}
		header[headerExpect] = []string{strconv.FormatUint(expect, 10)}
	}
	answer, err := request(ctx, c.nc, &nats.Msg{Subject: subject, Header: header, Data: data})
	if err != nil {
		return 0, err
	}
	return parseAck(answer.Data)
}

// put publishes until there is an answer. Without an expected sequence or a message
// id, the data may be stored twice.
//
// A conflict may be with itself, if a try without an answer was the one that stored
// the data. And in a cluster it may be nothing at all: see [appender].
func (c *conn) put(ctx context.Context, stream, subject string, data []byte, expect uint64, header nats.Header) (seq uint64, err error) {
	tries, writer := 0, ""
	if c.remote && expect != noSequence {
		if header == nil {
			header = make(nats.Header, 2)
		}
		writer = newWriter()
		header[headerWriter] = []string{writer}
	}
	for end := time.Now().Add(callTimeout); ; {
		err = c.insist(ctx, func() error {
			tries++
			seq, err = c.publish(ctx, subject, data, expect, header)
			return err
		})
		if !errors.Is(err, errConflict) || tries == 1 && !c.remote {
			return seq, err
		}
		m, lastErr := c.last(ctx, stream, subject)
		if lastErr == nil && m.prev == expect && m.writer == writer && bytes.Equal(m.data, data) {
			return m.seq, nil
		}
		known := lastErr == nil || errors.Is(lastErr, errNone)
		if !known || m.seq != expect || header[headerExpectOn] != nil || time.Now().After(end) {
			return 0, err
		}
		// The subject ends as was expected: whoever refused does not know it.
		if pause(ctx, retryPause) != nil {
			return 0, err
		}
	}
}

// newWriter returns a name by which what is written can be told from the same that
// others write.
func newWriter() string { return rand.Text()[:writerLength] }

// writerLength makes it unlikely enough that two who write to one subject have the
// same name.
const writerLength = 10

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

// purge removes a subject's messages: all, or those before the given sequence.
func (c *conn) purge(ctx context.Context, stream, subject string, before uint64) error {
	question := struct {
		Filter string `json:"filter"`
		Seq    uint64 `json:"seq,omitempty"` // the first that stays
	}{subject, before}
	return c.api(ctx, apiPurge+stream, question, new(apiAnswer))
}
