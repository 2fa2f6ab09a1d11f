package session

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// maxEventText bounds the text of one event, so that a reader who is far behind
// gets it in pieces that fit its buffers.
const maxEventText = 64 << 10

// maxPending bounds what a model may be ahead of the log. A log that stands
// still stops the reading of the model's stream.
const maxPending = 1 << 20

// An outlet collects what a model produces until the generation appends it.
// One goroutine adds and closes, another takes.
type outlet struct {
	chunks   int
	interval time.Duration
	ready    chan struct{} // holds one: there may be something to take
	room     chan struct{} // holds one: something was taken

	mu      sync.Mutex
	pending []runnel.Event
	size    int // bytes of text in pending
	count   int // fragments in pending
	total   int // fragments so far
	urgent  bool
	closed  bool
	end     *runnel.End
	spent   *runnel.Usage   // so far
	data    json.RawMessage // what a publisher said with the end
	err     error
}

func newOutlet(cfg Config) *outlet {
	return &outlet{
		chunks:   cfg.FlushChunks,
		interval: max(cfg.FlushInterval, 0),
		ready:    make(chan struct{}, 1),
		room:     make(chan struct{}, 1),
	}
}

// started adds the event that names the model that is asked.
func (o *outlet) started(model string, data json.RawMessage) {
	o.mu.Lock()
	o.pending = append(o.pending, runnel.Event{Type: runnel.EventStarted, Model: model, Data: data})
	o.urgent = true
	o.mu.Unlock()
	signal(o.ready)
}

// reset adds the events that say what stands of what earlier attempts said.
func (o *outlet) reset(text string) {
	first := cut(text, maxEventText)
	o.mu.Lock()
	o.pending = append(o.pending, runnel.Event{Type: runnel.EventReset, Text: text[:first]})
	if first < len(text) {
		o.addText(runnel.EventDelta, text[first:])
	}
	o.urgent = true
	o.mu.Unlock()
	signal(o.ready)
}

// add adds a fragment, joined to the one before it where they are of a kind.
// It waits while too much is pending.
func (o *outlet) add(ctx context.Context, d *runnel.Delta) {
	o.lockWithRoom(ctx)
	switch {
	case d.Tool != nil:
		o.pending = append(o.pending, runnel.Event{Type: runnel.EventTool, Tool: d.Tool})
		o.size += len(d.Tool.Input)
	case d.Progress != "":
		o.pending = append(o.pending, runnel.Event{Type: runnel.EventProgress, Progress: json.RawMessage(d.Progress)})
		o.size += len(d.Progress)
		o.urgent = true // a status that waits is an old one
	case d.Seal != nil:
		o.pending = append(o.pending, runnel.Event{Type: runnel.EventReasoning, Seal: d.Seal})
		o.size += d.Seal.Len()
	case d.Reasoning != "":
		o.addText(runnel.EventReasoning, d.Reasoning)
	default:
		o.addText(runnel.EventDelta, d.Text)
	}
	o.count++
	o.total++
	wake := o.count == 1 || o.count == o.chunks || o.urgent
	o.mu.Unlock()
	if wake {
		signal(o.ready)
	}
}

// lockWithRoom locks o when there is room in it, or ctx is done.
func (o *outlet) lockWithRoom(ctx context.Context) {
	o.mu.Lock()
	for o.size >= maxPending && ctx.Err() == nil {
		o.mu.Unlock()
		select {
		case <-o.room:
		case <-ctx.Done():
		}
		o.mu.Lock()
	}
}

// put adds a piece that was published. What came with data is an event of its
// own, so to wait for more would save nothing.
func (o *outlet) put(ctx context.Context, p *runnel.Piece) {
	o.lockWithRoom(ctx)
	if p.Data == nil && p.Type != runnel.EventProgress {
		o.addText(p.Type, p.Text)
	} else {
		o.pending = append(o.pending, runnel.Event{Type: p.Type, Text: p.Text, Progress: p.Progress, Data: p.Data})
		o.size += len(p.Text) + len(p.Progress) + len(p.Data)
		o.urgent = true
	}
	o.count++
	o.total++
	o.mu.Unlock()
	signal(o.ready)
}

// costs says what the model has cost so far.
func (o *outlet) costs(u *runnel.Usage) {
	o.mu.Lock()
	o.spent = u
	o.mu.Unlock()
}

// cost returns what the model is known to have cost.
func (o *outlet) cost() *runnel.Usage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.spent
}

// fragments returns how many have been added.
func (o *outlet) fragments() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}

// endsWith says what a publisher said with the end of its answer.
func (o *outlet) endsWith(data json.RawMessage) {
	o.mu.Lock()
	o.data = data
	o.mu.Unlock()
}

func (o *outlet) addText(t runnel.EventType, text string) {
	o.size += len(text)
	for {
		n := len(o.pending)
		if n == 0 || o.pending[n-1].Type != t || o.pending[n-1].Data != nil || o.pending[n-1].Seal != nil || len(o.pending[n-1].Text) >= maxEventText {
			o.pending = append(o.pending, runnel.Event{Type: t})
			n++
		}
		last := &o.pending[n-1]
		room := maxEventText - len(last.Text)
		if len(text) <= room {
			last.Text += text
			return
		}
		if room = cut(text, room); room == 0 { // no character fits: begin another event
			o.pending = append(o.pending, runnel.Event{Type: t})
			continue
		}
		last.Text += text[:room]
		text = text[room:]
	}
}

// cut returns how much of text there is room for, in whole characters.
func cut(text string, room int) int {
	if len(text) <= room {
		return len(text)
	}
	for room > 0 && !utf8.RuneStart(text[room]) {
		room--
	}
	return room
}

// close says how the model's stream ended.
func (o *outlet) close(end *runnel.End, err error) {
	o.mu.Lock()
	o.closed, o.end, o.err = true, end, err
	o.mu.Unlock()
	signal(o.ready)
}

// take returns what is pending if it is time: enough of it, an interval since
// the last was taken, or the end. Otherwise it says how long to wait.
func (o *outlet) take(last time.Time) (events []runnel.Event, wait time.Duration, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > 0 && !o.urgent && !o.closed && o.count < o.chunks {
		if wait = time.Until(last.Add(o.interval)); wait > 0 {
			return nil, wait, false
		}
	}
	events = o.pending
	o.pending, o.size, o.count, o.urgent = nil, 0, 0, false
	signal(o.room)
	return events, 0, o.closed
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// drainOutlet appends what the model produces, until its stream or ctx ends,
// and returns the turn so far. The error says why the stream did not end by
// itself; what came before is stored all the same.
func (g *generation) drainOutlet(ctx context.Context, out *outlet) (*runnel.Turn, error) {
	acc := accumulator{limit: g.s.cfg.MaxAnswer, t: runnel.Turn{Model: g.run.Model}}
	steady := context.WithoutCancel(ctx)
	var last time.Time // zero: the first fragment is stored at once
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		events, wait, closed := out.take(last)
		for _, ev := range events {
			err := g.persist(ctx, func() error {
				_, err := g.append(steady, g.writer, ev)
				return err
			})
			if err != nil {
				return acc.turn(), err
			}
			if err := acc.add(&ev); err != nil {
				return acc.turn(), err
			}
			if ev.Type == runnel.EventReset {
				g.continued = ev.Text != ""
			}
			if ev.Type != runnel.EventStarted && ev.Type != runnel.EventReset {
				last = time.Now()
				if g.first.IsZero() {
					g.first = last
				}
			}
		}
		if closed {
			if out.end != nil {
				acc.t.StopReason, acc.t.Usage, acc.t.Data = out.end.StopReason, out.end.Usage, out.data
			}
			return acc.turn(), out.err
		}
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-out.ready:
		case <-timer.C:
		}
	}
}

// An accumulator puts a turn together from its events.
type accumulator struct {
	t               runnel.Turn
	limit           int
	text, reasoning strings.Builder
	inputs          [][]byte // of the tool calls; models may mix their fragments
	inputSize       int
	sealed          int // bytes of seals
}

func (a *accumulator) add(ev *runnel.Event) error {
	switch ev.Type {
	case runnel.EventStarted:
		a.t.Model = ev.Model
	case runnel.EventDelta:
		a.text.WriteString(ev.Text)
	case runnel.EventReasoning:
		a.reasoning.WriteString(ev.Text)
		a.sealed += ev.Seal.Len()
	case runnel.EventTool:
		a.addTool(ev.Tool)
	case runnel.EventReset: // before anything else, or instead of what it began with
		a.text.Reset()
		a.text.WriteString(ev.Text)
	default:
	}
	if a.text.Len()+a.reasoning.Len()+a.inputSize+a.sealed > a.limit {
		return runnel.Errorf(runnel.Limited, "the answer is longer than %d bytes", a.limit)
	}
	return nil
}

func (a *accumulator) addTool(d *runnel.ToolDelta) {
	// Indexes count up; a provider that skips some would only waste a little.
	const maxTools = 256
	for len(a.inputs) <= d.Index && d.Index < maxTools {
		a.inputs = append(a.inputs, nil)
		a.t.Tools = append(a.t.Tools, runnel.ToolCall{})
	}
	if d.Index < 0 || d.Index >= len(a.inputs) {
		return
	}
	call := &a.t.Tools[d.Index]
	if d.ID != "" {
		call.ID = d.ID
	}
	if d.Name != "" {
		call.Name = d.Name
	}
	a.inputs[d.Index] = append(a.inputs[d.Index], d.Input...)
	a.inputSize += len(d.Input)
}

func (a *accumulator) turn() *runnel.Turn {
	t := a.t
	t.Text, t.Reasoning = a.text.String(), a.reasoning.String()
	for i := range a.inputs {
		t.Tools[i].Input = toolInput(string(a.inputs[i]))
	}
	return &t
}
