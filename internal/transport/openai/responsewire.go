package openai

import (
	"cmp"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/wire"
)

// A responseWire frames the events of one response.
//
// seq counts what has been said: each byte of text, reasoning and arguments, and
// one for each event besides. It does not depend on how the text came in pieces,
// so a client that names the number of its last event gets exactly the rest.
type responseWire struct {
	gen  runnel.GenerationID
	body response
	skip int // what the client has
	seq  int

	items []openItem
	said  result
}

// Open implements [reply.Framer]: the client learns at once how to come back.
func (w *responseWire) Open(dst []byte) []byte {
	dst = w.event(dst, "response.created", map[string]any{"response": w.body})
	return w.event(dst, "response.in_progress", map[string]any{"response": w.body})
}

// An openItem is an item of the output that is being said.
type openItem struct {
	kind  byte // 'm', 'r' or 'c'
	index int  // of a call
}

// Frame implements [reply.Framer].
func (w *responseWire) Frame(dst []byte, pieces []answer.Piece) []byte {
	for i := range pieces {
		p := &pieces[i]
		w.body.Model = cmp.Or(w.body.Model, p.Model)
		w.said.add(pieces[i : i+1])
		switch {
		case p.Text != "":
			at, added := w.place('m', 0)
			if added {
				dst = w.addMessage(dst, at)
			}
			dst = w.delta(dst, "response.output_text.delta", "msg_"+string(w.gen), at, `"content_index":0,"logprobs":[],`, p.Text)
		case p.Reasoning != "":
			at, added := w.place('r', 0)
			if added {
				dst = w.addReasoning(dst, at)
			}
			dst = w.delta(dst, "response.reasoning_summary_text.delta", "rs_"+string(w.gen), at, `"summary_index":0,`, p.Reasoning)
		case p.Tool != nil:
			at, added := w.place('c', p.Tool.Index)
			if added {
				call := callItem(w.gen, p.Tool.Index, "in_progress", p.Tool.ID, p.Tool.Name, "")
				dst = w.event(dst, "response.output_item.added", map[string]any{"output_index": at, "item": call})
			}
			if p.Tool.Input != "" {
				id := "fc_" + string(w.gen) + "_" + strconv.Itoa(p.Tool.Index)
				dst = w.delta(dst, "response.function_call_arguments.delta", id, at, "", p.Tool.Input)
			}
		case p.End != nil:
			dst = w.end(dst, p.End)
		}
	}
	return dst
}

// place returns where an item is in the output, and whether it is new there.
func (w *responseWire) place(kind byte, index int) (at int, added bool) {
	for at, it := range w.items {
		if it.kind == kind && it.index == index {
			return at, false
		}
	}
	w.items = append(w.items, openItem{kind, index})
	return len(w.items) - 1, true
}

func (w *responseWire) addMessage(dst []byte, at int) []byte {
	m := messageItem(w.gen, "in_progress", []itemPart{})
	dst = w.event(dst, "response.output_item.added", map[string]any{"output_index": at, "item": m})
	return w.event(dst, "response.content_part.added", map[string]any{
		"item_id": m.ID, "output_index": at, "content_index": 0, "part": outputText(""),
	})
}

func (w *responseWire) addReasoning(dst []byte, at int) []byte {
	m := reasoningItem(w.gen, []itemPart{})
	dst = w.event(dst, "response.output_item.added", map[string]any{"output_index": at, "item": m})
	return w.event(dst, "response.reasoning_summary_part.added", map[string]any{
		"item_id": m.ID, "output_index": at, "summary_index": 0, "part": itemPart{Type: "summary_text"},
	})
}

// delta appends a piece of text, or the part of it that the client lacks.
func (w *responseWire) delta(dst []byte, event, id string, at int, members, text string) []byte {
	from := max(0, w.skip-w.seq)
	w.seq += len(text)
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from++ // a number that was not given out
	}
	if from >= len(text) {
		return dst
	}
	dst = append(dst, "event: "...)
	dst = append(dst, event...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, event...)
	dst = append(dst, `","sequence_number":`...)
	dst = strconv.AppendInt(dst, int64(w.seq), 10)
	dst = append(dst, `,"item_id":`...)
	dst = wire.AppendString(dst, id)
	dst = append(dst, `,"output_index":`...)
	dst = strconv.AppendInt(dst, int64(at), 10)
	dst = append(dst, ',')
	dst = append(dst, members...)
	dst = append(dst, `"delta":`...)
	dst = wire.AppendString(dst, text[from:])
	return append(dst, "}\n\n"...)
}

// event appends any other event, unless the client has it.
func (w *responseWire) event(dst []byte, name string, body map[string]any) []byte {
	w.seq++
	if w.seq <= w.skip {
		return dst
	}
	body["type"], body["sequence_number"] = name, w.seq
	data, err := json.Marshal(body)
	if err != nil { // nothing here can fail to encode
		return dst
	}
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}

// end appends what ends each item, and then the response.
func (w *responseWire) end(dst []byte, end *runnel.Event) []byte {
	w.body.Output = w.said.output(w.gen, w.items)
	for at, it := range w.items {
		dst = w.closeItem(dst, at, it)
	}
	event := w.body.finish(stateOf(end.Type), end.StopReason, end.Usage, end.Failure)
	return w.event(dst, event, map[string]any{"response": w.body})
}

func (w *responseWire) closeItem(dst []byte, at int, it openItem) []byte {
	whole := w.body.Output[at]
	about := func(more ...any) map[string]any {
		m := map[string]any{"item_id": whole.ID, "output_index": at}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	switch it.kind {
	case 'm':
		part := whole.Content[0]
		dst = w.event(dst, "response.output_text.done", about("content_index", 0, "text", part.Text, "logprobs", []int{}))
		dst = w.event(dst, "response.content_part.done", about("content_index", 0, "part", part))
	case 'r':
		part := whole.Summary[0]
		dst = w.event(dst, "response.reasoning_summary_text.done", about("summary_index", 0, "text", part.Text))
		dst = w.event(dst, "response.reasoning_summary_part.done", about("summary_index", 0, "part", part))
	case 'c':
		dst = w.event(dst, "response.function_call_arguments.done", about("name", whole.Name, "arguments", *whole.Arguments))
	}
	return w.event(dst, "response.output_item.done", map[string]any{"output_index": at, "item": whole})
}

// Fail implements [reply.Framer]: a failure of ours, not the generation's.
func (w *responseWire) Fail(dst []byte, err error) []byte {
	f := newFailure(err)
	code := "server_error"
	if f.Code != nil {
		code = *f.Code
	}
	w.skip = 0 // it is always told
	return w.event(dst, "error", map[string]any{"code": code, "message": f.Message, "param": nil})
}

// output returns the items of the output, in the order in which they began.
func (s *result) output(gen runnel.GenerationID, order []openItem) []item {
	out := make([]item, 0, len(order))
	for _, it := range order {
		switch it.kind {
		case 'm':
			out = append(out, messageItem(gen, "completed", []itemPart{outputText(string(s.text))}))
		case 'r':
			out = append(out, reasoningItem(gen, []itemPart{{Type: "summary_text", Text: string(s.reasoning)}}))
		case 'c':
			call := s.calls[it.index]
			out = append(out, callItem(gen, it.index, "completed", call.ID, call.Name, string(s.inputs[it.index])))
		}
	}
	return out
}

func stateOf(end runnel.EventType) runnel.State {
	switch end {
	case runnel.EventFailed:
		return runnel.Failed
	case runnel.EventCancelled:
		return runnel.Stopped
	}
	return runnel.Done
}
