package bedrock

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// A result is an answer as far as it has come.
type result struct {
	clock  clock
	blocks []said
	end    *runnel.Event
	ending ending // when there is an end
}

// said is what a block holds.
type said struct {
	block
	data []byte
}

func newResult() *result { return &result{clock: clock{begun: time.Now()}} }

func (r *result) add(pieces []answer.Piece) {
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.Text != "":
			r.say(block{kind: textBlock}, p.Text)
		case p.Reasoning != "":
			r.say(block{kind: reasoningBlock}, p.Reasoning)
		case p.Seal != nil && p.Seal.Redacted != "":
			r.blocks = append(r.blocks, said{block: block{kind: redactedBlock, seal: p.Seal.Redacted}})
		case p.Seal != nil:
			r.say(block{kind: reasoningBlock}, "")
			r.blocks[len(r.blocks)-1].seal = p.Seal.Signature
		case p.Tool != nil:
			r.say(block{kind: toolBlock, call: p.Tool.Index, id: p.Tool.ID, name: p.Tool.Name}, p.Tool.Input)
		case p.End != nil:
			r.end, r.ending = p.End, r.clock.ending(p.End)
		}
	}
}

func (r *result) say(b block, text string) {
	r.clock.token()
	at := len(r.blocks) - 1
	if b.kind == toolBlock { // which may go on later
		for at >= 0 && (r.blocks[at].kind != toolBlock || r.blocks[at].call != b.call) {
			at--
		}
	} else if at >= 0 && (r.blocks[at].kind != b.kind || r.blocks[at].seal != "") {
		at = -1
	}
	if at < 0 {
		r.blocks = append(r.blocks, said{block: b})
		at = len(r.blocks) - 1
	}
	r.blocks[at].data = append(r.blocks[at].data, text...)
}

// text returns all that is text.
func (r *result) text() string {
	var all []byte
	for i := range r.blocks {
		if r.blocks[i].kind == textBlock {
			all = append(all, r.blocks[i].data...)
		}
	}
	return string(all)
}

// input returns the input of a tool call: an object, also if it is empty.
func (b *said) input() json.RawMessage {
	if !json.Valid(b.data) {
		return json.RawMessage("{}")
	}
	return b.data
}

// setHeader tells what InvokeModel tells in the response's header.
func (r *result) setHeader(h http.Header) {
	h.Set("X-Amzn-Bedrock-Input-Token-Count", strconv.Itoa(r.ending.usage.InputTokens))
	h.Set("X-Amzn-Bedrock-Output-Token-Count", strconv.Itoa(r.ending.usage.OutputTokens))
	h.Set("X-Amzn-Bedrock-Invocation-Latency", strconv.FormatInt(r.ending.latency.Milliseconds(), 10))
}
