package aisdk

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// TestVoid: what was shown is taken back, and what follows begins anew; also
// with two calls that are told at once, one of them badly.
func TestVoid(t *testing.T) {
	t.Parallel()
	m := parts{gen: "G"}
	call := func(index int, id, name, input string) answer.Piece {
		return answer.Piece{Tool: &runnel.ToolDelta{Index: index, ID: id, Name: name, Input: input}}
	}
	got := string(m.Frame(nil, []answer.Piece{
		{Text: "Hel"}, call(0, "c1", "a", `{"x`), {Void: true}, {Text: "Hi"},
		call(0, "c2", "a", `{"x`), call(1, "c3", "b", ""), call(0, "", "", `":1}`), call(2, "c4", "c", "{"),
		{End: &runnel.Event{Type: runnel.EventDone, StopReason: runnel.ToolUse}},
	}))
	want := `data: {"type":"start","messageId":"msg_G"}

data: {"type":"start-step"}

data: {"type":"text-start","id":"1"}

data: {"type":"text-delta","id":"1","delta":"Hel"}

data: {"type":"text-end","id":"1"}

data: {"type":"tool-input-start","toolCallId":"c1","toolName":"a"}

data: {"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\"x"}

data: {"type":"reset-step"}

data: {"type":"text-start","id":"2"}

data: {"type":"text-delta","id":"2","delta":"Hi"}

data: {"type":"text-end","id":"2"}

data: {"type":"tool-input-start","toolCallId":"c2","toolName":"a"}

data: {"type":"tool-input-delta","toolCallId":"c2","inputTextDelta":"{\"x"}

data: {"type":"tool-input-start","toolCallId":"c3","toolName":"b"}

data: {"type":"tool-input-delta","toolCallId":"c2","inputTextDelta":"\":1}"}

data: {"type":"tool-input-start","toolCallId":"c4","toolName":"c"}

data: {"type":"tool-input-delta","toolCallId":"c4","inputTextDelta":"{"}

data: {"type":"tool-input-available","toolCallId":"c2","toolName":"a","input":{"x":1}}

data: {"type":"tool-input-available","toolCallId":"c3","toolName":"b","input":{}}

data: {"type":"tool-input-error","toolCallId":"c4","toolName":"c","errorText":"the model's input is not JSON","input":"{"}

data: {"type":"finish-step"}

data: {"type":"finish","finishReason":"tool-calls"}

data: [DONE]

`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
