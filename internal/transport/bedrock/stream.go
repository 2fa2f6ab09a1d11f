package bedrock

import (
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/reply"
)

// errMixed ends a stream whose model goes on with a tool call after it has begun
// something else. Clients take a call for complete when its block ends.
var errMixed = errors.New("the model mixes the inputs of several tool calls")

// A family is a kind of model: which form its requests and answers have.
type family struct {
	read func(data []byte) (runnel.Prompt, error)
	form func(model string) form
}

// A form is what an answer looks like. It appends payloads to the stream's json,
// and has the stream frame them.
type form interface {
	begin(s *stream)
	open(s *stream, b *block)
	piece(s *stream, b *block, text string) // of what the block holds
	sign(s *stream, b *block)               // reasoning that is now sealed
	close(s *stream, b *block)
	end(s *stream, e ending)
	whole(r *result) any
}

// What a block of an answer holds.
const (
	textBlock = iota
	reasoningBlock
	redactedBlock // reasoning that nobody may read
	toolBlock
)

// A block is a part of an answer that is of one kind.
type block struct {
	at       int // counts the blocks
	kind     int
	call     int // index of the tool call
	id, name string
	seal     string // of reasoning: what it is signed with, or what is redacted
}

// An ending is what there is to say at the end.
type ending struct {
	reason         runnel.StopReason
	usage          runnel.Usage // zero if nobody has counted
	latency, first time.Duration
}

// A clock measures an answer.
type clock struct {
	begun time.Time
	first time.Duration // to the first token
}

func (c *clock) token() {
	if c.first == 0 {
		c.first = max(1, time.Since(c.begun))
	}
}

func (c *clock) ending(end *runnel.Event) ending {
	e := ending{reason: end.StopReason, latency: time.Since(c.begun), first: c.first}
	if e.reason == "" {
		e.reason = runnel.EndTurn // somebody has stopped it, for which there is no word
	}
	if end.Usage != nil {
		e.usage = *end.Usage
	}
	return e
}

// A stream frames one answer. It implements [reply.Former].
type stream struct {
	form   form
	invoke bool
	clock  clock

	begun bool
	dead  bool // it has ended with a failure of its own
	now   *block
	count int          // blocks so far
	calls map[int]bool // by index: those that have begun

	out    []byte // frames
	json   []byte // the payload that is being made
	packed []byte // a chunk with it
}

func newStream(f form, invoke bool) *stream {
	return &stream{form: f, invoke: invoke, clock: clock{begun: time.Now()}}
}

// SetHeader implements [reply.Former].
func (s *stream) SetHeader(h http.Header) {
	h.Set("Content-Type", eventstream.ContentType)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	if s.invoke {
		h.Set("X-Amzn-Bedrock-Content-Type", "application/json")
	}
}

// Beat implements [reply.Former]: an event that no SDK has a word for would be an
// unknown one to its user.
func (s *stream) Beat(dst []byte) []byte { return dst }

// Open implements [reply.Framer]: nothing, for a failure could still be a status.
func (s *stream) Open(dst []byte) []byte { return dst }

// Frame implements [reply.Framer].
func (s *stream) Frame(dst []byte, pieces []answer.Piece) []byte {
	s.out = dst
	for i := range pieces {
		p := &pieces[i]
		switch {
		case s.dead:
		case p.Text != "":
			s.say(textBlock, p.Text)
		case p.Reasoning != "":
			s.say(reasoningBlock, p.Reasoning)
		case p.Seal != nil:
			s.seal(p.Seal)
		case p.Tool != nil:
			s.tool(p.Tool)
		case p.End != nil:
			s.end(p.End)
		}
	}
	return s.out
}

// Fail implements [reply.Framer].
func (s *stream) Fail(dst []byte, err error) []byte {
	if s.dead {
		return dst
	}
	return appendFailure(dst, err)
}

func (s *stream) begin() {
	if !s.begun {
		s.begun = true
		s.form.begin(s)
	}
}

// say goes on with a block of the kind, or begins one.
func (s *stream) say(kind int, text string) {
	if s.now == nil || s.now.kind != kind || s.now.seal != "" {
		s.open(block{kind: kind})
	}
	s.clock.token()
	s.form.piece(s, s.now, text)
}

// seal ends a block of reasoning, which may have no text.
func (s *stream) seal(seal *runnel.Seal) {
	if seal.Redacted != "" {
		s.open(block{kind: redactedBlock, seal: seal.Redacted})
		return
	}
	if s.now == nil || s.now.kind != reasoningBlock || s.now.seal != "" {
		s.open(block{kind: reasoningBlock})
	}
	s.now.seal = seal.Signature
	s.form.sign(s, s.now)
}

func (s *stream) tool(t *runnel.ToolDelta) {
	if s.now == nil || s.now.kind != toolBlock || s.now.call != t.Index {
		if s.calls[t.Index] {
			s.dead = true
			s.out = appendFailure(s.out, errMixed)
			return
		}
		if s.calls == nil {
			s.calls = map[int]bool{}
		}
		s.calls[t.Index] = true
		s.open(block{kind: toolBlock, call: t.Index, id: t.ID, name: t.Name})
	}
	if t.Input != "" {
		s.clock.token()
		s.form.piece(s, s.now, t.Input)
	}
}

func (s *stream) open(b block) {
	s.begin()
	s.closeBlock()
	b.at = s.count
	s.count++
	s.now = &b
	s.form.open(s, s.now)
}

func (s *stream) closeBlock() {
	if s.now != nil {
		s.form.close(s, s.now)
		s.now = nil
	}
}

// end appends what ends the stream. An answer that failed ends with its failure.
func (s *stream) end(end *runnel.Event) {
	if end.Type == runnel.EventFailed {
		s.out = s.Fail(s.out, reply.ModelError(end.Failure))
		return
	}
	s.begin()
	s.closeBlock()
	s.form.end(s, s.clock.ending(end))
}

// frame sends the payload as an event of Converse, or as a chunk of a model's.
func (s *stream) frame(event string) {
	if !s.invoke {
		s.out = eventstream.AppendEvent(s.out, event, s.json)
		return
	}
	s.packed = append(s.packed[:0], `{"bytes":"`...)
	s.packed = base64.StdEncoding.AppendEncode(s.packed, s.json)
	s.packed = append(s.packed, `"}`...)
	s.out = eventstream.AppendEvent(s.out, "chunk", s.packed)
}
