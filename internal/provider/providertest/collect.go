package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// collect runs a generation to its end and checks what holds for all of them.
// It returns the answer as far as it came, and the error that ended it.
func collect(parent context.Context, t *testing.T, p runnel.Provider, prompt runnel.Prompt) (got Answer, end *runnel.End, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(parent, 10*soon) // rather a failure than a hang
	defer cancel()
	for d, e := range p.Generate(ctx, prompt) {
		if err != nil || end != nil {
			t.Errorf("got %+v, %v after the end", d, e)
		}
		if err = e; err != nil {
			if d != (runnel.Delta{}) {
				t.Errorf("got %+v together with an error", d)
			}
			continue
		}
		end = d.End
		checkDelta(t, d)
		switch {
		case d.Text != "":
			got.Text = append(got.Text, d.Text)
		case d.Reasoning != "":
			got.Reasoning = append(got.Reasoning, d.Reasoning)
		case d.Seal != nil:
			got.Seals = append(got.Seals, *d.Seal)
		case d.Tool != nil:
			got.Tools = appendTool(t, got.Tools, d.Tool)
		}
	}
	if err == nil && end == nil {
		t.Error("the sequence ended with neither an end nor an error")
	}
	if end != nil {
		for _, call := range got.Tools {
			if input := strings.Join(call.Input, ""); !json.Valid([]byte(input)) || input[0] != '{' {
				t.Errorf("the input of call %s is not an object: %s", call.ID, input)
			}
		}
	}
	if ctx.Err() != nil && parent.Err() == nil {
		t.Errorf("the generation did not end by itself: %v", err)
	}
	return got, end, err
}

func checkDelta(t *testing.T, d runnel.Delta) {
	t.Helper()
	set := 0
	for _, is := range []bool{d.Text != "", d.Reasoning != "", d.Seal.Len() > 0, d.Tool != nil, d.Progress != "", d.Usage != nil, d.End != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		t.Errorf("%d fields of %+v are set, want one", set, d)
	}
	if !utf8.ValidString(d.Text + d.Reasoning) {
		t.Errorf("%q is not UTF-8", d.Text+d.Reasoning)
	}
}

// appendTool adds a fragment to the call that it belongs to.
func appendTool(t *testing.T, calls []ToolCall, d *runnel.ToolDelta) []ToolCall {
	t.Helper()
	switch {
	case d.Index == len(calls):
		if d.ID == "" || d.Name == "" {
			t.Errorf("the first fragment of a call lacks its id or name: %+v", d)
		}
		calls = append(calls, ToolCall{ID: d.ID, Name: d.Name})
	case d.Index < 0 || d.Index > len(calls):
		t.Errorf("call %d comes after %d calls", d.Index, len(calls))
		return calls
	}
	if d.Input != "" {
		call := &calls[d.Index]
		call.Input = append(call.Input, d.Input)
	}
	return calls
}

// checkError checks that err is of one of the kinds and gives nothing away.
func checkError(t *testing.T, err error, kinds ...runnel.Kind) *runnel.Error {
	t.Helper()
	e, ok := errors.AsType[*runnel.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *runnel.Error", err)
	}
	wanted := false
	for _, kind := range kinds {
		wanted = wanted || e.Kind == kind
	}
	if !wanted {
		t.Errorf("got kind %v, want %v: %v", e.Kind, kinds, err)
	}
	if text := runnel.PublicMessage(err); text == "" || strings.Contains(text, detail) || strings.Contains(text, Secret) {
		t.Errorf("clients would see %q", text)
	}
	if strings.Contains(err.Error(), Secret) {
		t.Errorf("the log would show the key: %v", err)
	}
	return e
}
