package answer_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// A script is a log that hands out what it was given, a batch a call.
type script [][]runnel.Event

var errOver = errors.New("the script is over")

func (s *script) Read(context.Context, runnel.SessionID, runnel.Cursor) ([]runnel.Event, error) {
	if len(*s) == 0 {
		return nil, errOver
	}
	batch := (*s)[0]
	*s = (*s)[1:]
	return batch, nil
}

const gen runnel.GenerationID = "g"

func attempt(n int, ev runnel.Event) runnel.Event {
	ev.Generation, ev.Attempt = gen, n
	return ev
}

func text(s string) runnel.Event  { return runnel.Event{Type: runnel.EventDelta, Text: s} }
func think(s string) runnel.Event { return runnel.Event{Type: runnel.EventReasoning, Text: s} }
func seal(signature string) runnel.Event {
	return runnel.Event{Type: runnel.EventReasoning, Seal: &runnel.Seal{Signature: signature}}
}

func tool(index int, id, name, input string) runnel.Event {
	return runnel.Event{Type: runnel.EventTool, Tool: &runnel.ToolDelta{Index: index, ID: id, Name: name, Input: input}}
}

// heard is what a client that appends has at the end.
type heard struct {
	Text, Reasoning, Model, Progress string
	Tools                            map[int]string
	End                              runnel.EventType
	Err                              error
}

func follow(s script) heard {
	return hear(answer.Follow(&s, runnel.Receipt{Session: "s", Generation: gen}))
}

func hear(r *answer.Reader) (h heard) {
	for {
		pieces, err := r.Next(context.Background())
		if err != nil {
			h.Err = err
			return h
		}
		for _, p := range pieces {
			if p.Void {
				h = heard{}
			}
			h.Text += p.Text
			h.Reasoning += p.Reasoning
			if p.Seal != nil {
				h.Reasoning += "[" + p.Seal.Signature + "]"
			}
			h.Model += p.Model
			h.Progress += string(p.Progress)
			if p.Tool != nil {
				if h.Tools == nil {
					h.Tools = make(map[int]string)
				}
				h.Tools[p.Tool.Index] += p.Tool.ID + p.Tool.Name + p.Tool.Input
			}
			if p.End != nil {
				h.End = p.End.Type
				return h
			}
		}
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	done := runnel.Event{Type: runnel.EventDone}
	reset := func(text, reasoning string) runnel.Event {
		return runnel.Event{Type: runnel.EventReset, Text: text, Reasoning: reasoning}
	}
	for _, tt := range []struct {
		name   string
		first  []runnel.Event
		second []runnel.Event // of attempt 2
		want   heard
	}{
		{
			"all there is",
			[]runnel.Event{
				{Type: runnel.EventQueued}, {Type: runnel.EventStarted, Model: "m"}, think("hm"), text("Hel"), text("lo"),
				{Type: runnel.EventProgress, Progress: json.RawMessage("1")}, tool(0, "c1", "add", ""), tool(0, "", "", `{"a":`), tool(0, "", "", "1}"), done,
			},
			nil,
			heard{Text: "Hello", Reasoning: "hm", Model: "m", Progress: "1", Tools: map[int]string{0: `c1add{"a":1}`}, End: runnel.EventDone},
		},
		{
			"repeated, and more",
			[]runnel.Event{think("hm"), text("Hel"), tool(0, "c1", "add", `{"a"`)},
			[]runnel.Event{reset("", ""), think("hm, "), think("so"), text("Hello"), tool(0, "c1", "add", `{"a":1}`), done},
			heard{Text: "Hello", Reasoning: "hm, so", Tools: map[int]string{0: `c1add{"a":1}`}, End: runnel.EventDone},
		},
		{
			"a reader's reset",
			[]runnel.Event{think("hm"), text("Hel"), tool(0, "c1", "add", `{"a"`)},
			[]runnel.Event{reset("Hello", "hm"), tool(0, "c1", "add", `{"a":1}`), tool(1, "c2", "sub", "{}"), done},
			heard{Text: "Hello", Reasoning: "hm", Tools: map[int]string{0: `c1add{"a":1}`, 1: "c2sub{}"}, End: runnel.EventDone},
		},
		{
			"gone on with",
			[]runnel.Event{text("Hel"), text("lo ")},
			[]runnel.Event{{Type: runnel.EventStarted, Model: "m"}, reset("Hello ", ""), text("world"), done},
			heard{Text: "Hello world", Model: "m", End: runnel.EventDone},
		},
		{
			"gone on with in parts",
			[]runnel.Event{text("Hello "), text("wor")},
			[]runnel.Event{reset("Hello", ""), text(" wor"), text("ld"), done},
			heard{Text: "Hello world", End: runnel.EventDone},
		},
		{
			"refused to go on with, and the same again",
			[]runnel.Event{text("Hello ")},
			[]runnel.Event{reset("Hello ", ""), reset("", ""), text("Hel"), text("lo world"), done},
			heard{Text: "Hello world", End: runnel.EventDone},
		},
		{
			"refused to go on with, and another",
			[]runnel.Event{text("Hello ")},
			[]runnel.Event{reset("Hello ", ""), reset("", ""), text("Good day"), done},
			heard{Text: "Hello ", Err: answer.ErrDiverged},
		},
		{
			"sealed again",
			[]runnel.Event{think("hm"), seal("a"), think("so")},
			[]runnel.Event{reset("", ""), think("hm"), seal("b"), think("so"), seal("c"), done},
			heard{Reasoning: "hm[a]so[c]", End: runnel.EventDone},
		},
		{"another text", []runnel.Event{text("Hel")}, []runnel.Event{text("Hal"), done}, heard{Text: "Hel", Err: answer.ErrDiverged}},
		{"another reasoning", []runnel.Event{think("Hel")}, []runnel.Event{reset("", "x"), done}, heard{Reasoning: "Hel", Err: answer.ErrDiverged}},
		{"shorter", []runnel.Event{text("Hel")}, []runnel.Event{text("He"), done}, heard{Text: "Hel", Err: answer.ErrDiverged}},
		{
			"a call under another id",
			[]runnel.Event{tool(0, "c1", "add", "{")},
			[]runnel.Event{tool(0, "c9", "add", "{}"), done},
			heard{Tools: map[int]string{0: "c1add{"}, Err: answer.ErrDiverged},
		},
		{
			"a call that does not come again",
			[]runnel.Event{tool(0, "c1", "add", "{}")},
			[]runnel.Event{reset("", ""), done},
			heard{Tools: map[int]string{0: "c1add{}"}, Err: answer.ErrDiverged},
		},
		{
			"a failure ends it as it is",
			[]runnel.Event{text("Hel")},
			[]runnel.Event{reset("", ""), {Type: runnel.EventFailed, Failure: &runnel.Failure{}}},
			heard{Text: "Hel", End: runnel.EventFailed},
		},
		{"an index out of bounds", []runnel.Event{tool(1<<20, "c", "n", "")}, nil, heard{Err: answer.ErrDiverged}},
		{"the log fails", []runnel.Event{text("Hel")}, nil, heard{Text: "Hel", Err: errOver}},
	} {
		var s script
		other := text("not ours")
		other.Generation = "other"
		s = append(s, []runnel.Event{other})
		for _, ev := range tt.first {
			s = append(s, []runnel.Event{attempt(1, ev)})
		}
		var batch []runnel.Event
		for _, ev := range tt.second {
			batch = append(batch, attempt(2, ev))
		}
		if batch != nil {
			s = append(s, batch)
		}
		got := follow(s)
		if !errors.Is(got.Err, tt.want.Err) {
			t.Errorf("%s: %v, want %v", tt.name, got.Err, tt.want.Err)
		}
		got.Err, tt.want.Err = nil, nil
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestVoids: a client that can be told so has the answer that counts, whatever
// it had before.
func TestVoids(t *testing.T) {
	t.Parallel()
	done := runnel.Event{Type: runnel.EventDone}
	said := []runnel.Event{think("hm"), text("Hello"), tool(0, "c1", "add", `{"a":1}`), tool(1, "c2", "sub", "{}")}
	for name, second := range map[string][]runnel.Event{
		"another text":        {think("hm"), text("Hel"), text("p!"), done},
		"another reasoning":   {text("Hello"), think("hum"), done},
		"shorter":             {think("hm"), text("Hello"), tool(0, "c1", "add", `{"a":1}`), done},
		"nothing":             {done},
		"another call":        {tool(0, "c1", "add", `{"a":1}`), tool(1, "c3", "sub", "{}"), done},
		"another input":       {tool(0, "c1", "add", `{"a":2}`), done},
		"a reset":             {{Type: runnel.EventReset, Text: "Hel", Reasoning: "x"}, tool(0, "c9", "add", ""), text("lo"), done},
		"reset, then another": {{Type: runnel.EventReset, Text: "Hello", Reasoning: "hm"}, text("!"), done},
	} {
		var s, fresh script
		for _, ev := range said {
			s = append(s, []runnel.Event{attempt(1, ev)})
		}
		for _, ev := range second {
			s = append(s, []runnel.Event{attempt(2, ev)})
			fresh = append(fresh, []runnel.Event{attempt(2, ev)})
		}
		got := hear(answer.Follow(&s, runnel.Receipt{Session: "s", Generation: gen}).Voids())
		if diff := cmp.Diff(follow(fresh), got); diff != "" {
			t.Errorf("%s (-what a newcomer hears +got):\n%s", name, diff)
		}
	}
}
