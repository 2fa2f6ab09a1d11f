package wire_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// events has one of each type, with every member that the type can have.
func events() []runnel.Event {
	usage := &runnel.Usage{InputTokens: 3, OutputTokens: 5, CacheReadTokens: 1, CacheWriteTokens: 2, ReasoningTokens: 4}
	evs := []runnel.Event{
		{Type: runnel.EventQueued, Prompt: "why?"},
		{Type: runnel.EventStarted, Model: "echo"},
		{Type: runnel.EventDelta, Text: "plain"},
		{Type: runnel.EventDelta, Text: "\"q\" \\ \n\r\t \x01 <&> é 日本 😀 \u2028"},
		{Type: runnel.EventDelta},
		{Type: runnel.EventReasoning, Text: "hmm"},
		{Type: runnel.EventReasoning, Seal: &runnel.Seal{Signature: "c2ln"}},
		{Type: runnel.EventReasoning, Seal: &runnel.Seal{Redacted: "aGlk"}},
		{Type: runnel.EventTool, Tool: &runnel.ToolDelta{Index: 1, ID: "t1", Name: "look", Input: `{"a":`}},
		{Type: runnel.EventProgress, Progress: json.RawMessage(`{"step":2}`)},
		{Type: runnel.EventReset, Text: "so far", Reasoning: "thoughts"},
		{Type: runnel.EventDone, StopReason: runnel.EndTurn, Usage: usage},
		{Type: runnel.EventFailed, Failure: &runnel.Failure{Kind: "unavailable", Message: "gone"}, Usage: usage},
		{Type: runnel.EventCancelled},
		{Type: runnel.EventStarted, Model: "theirs", Data: json.RawMessage(`"#START#"`)},
		{Type: runnel.EventDelta, Text: "a\"b", Data: json.RawMessage(`{"token":"a\"b","n":[1,null]}`)},
		{Type: runnel.EventDelta, Data: json.RawMessage(`{"token":""}`)},
		{Type: runnel.EventProgress, Progress: json.RawMessage(`"busy"`), Data: json.RawMessage(`1`)},
		{Type: runnel.EventDone, StopReason: runnel.EndTurn, Data: json.RawMessage(`{"complete":true}`)},
		{Type: runnel.EventFailed, Failure: &runnel.Failure{Kind: "unavailable", Message: "theirs"}, Data: json.RawMessage(`{"error":true}`)},
	}
	for i := range evs {
		evs[i].Generation, evs[i].Attempt = "01JZ0000000000000000000000", 1
	}
	return evs
}

func TestGolden(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, ev := range events() {
		line, err := wire.Append(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	name := filepath.Join("testdata", "events.jsonl")
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("bodies differ from %s (-want +got); clients depend on them:\n%s", name, diff)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range events() {
		line, err := wire.Append(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		var got runnel.Event
		if err := wire.Decode(line, &got); err != nil {
			t.Fatal(err)
		}
		want.Body = line
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s came back changed (-want +got):\n%s", want.Type, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "{", "[]", `{"v":2,"type":"delta"}`, `{"v":1}`, `{"v":1,"type":"delta","generation":"g","attempt":1,"text":"a` + "\n" + `"}`} {
		var ev runnel.Event
		if err := wire.Decode([]byte(in), &ev); err == nil {
			t.Errorf("Decode(%q) accepted it", in)
		}
	}
}

// FuzzDecode holds the fast path to encoding/json: whatever Decode accepts must
// mean the same after a round trip.
func FuzzDecode(f *testing.F) {
	for _, ev := range events() {
		line, _ := wire.Append(nil, &ev)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev runnel.Event
		if wire.Decode(data, &ev) != nil {
			return
		}
		if ev.Type == runnel.EventDelta {
			var slow struct {
				Generation, Text string
				Attempt          int
			}
			if err := json.Unmarshal(data, &slow); err != nil {
				t.Fatalf("accepted what encoding/json refuses: %q: %v", data, err)
			}
			if slow.Text != ev.Text || slow.Generation != string(ev.Generation) || slow.Attempt != ev.Attempt {
				t.Fatalf("read %q as %+v; encoding/json says %+v", data, ev, slow)
			}
		}
		if _, err := wire.Append(nil, &ev); err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\x00\x7f\xff\u2029😀")
	f.Fuzz(func(t *testing.T, s string) {
		got := wire.AppendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q gave %s: %v", s, got, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ReplaceAll(back, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}

func BenchmarkDelta(b *testing.B) {
	ev := runnel.Event{Type: runnel.EventDelta, Generation: "01JZ0000000000000000000000", Attempt: 1, Text: " and then some words\n"}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = wire.Append(buf[:0], &ev)
		}
	})
	line, _ := wire.Append(nil, &ev)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got runnel.Event
			if err := wire.Decode(line, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
