package openai

import (
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

const responsePrefix = "resp_"

// A response is OpenAI's response object.
type response struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	CreatedAt         int64             `json:"created_at"`
	Status            string            `json:"status"`
	Background        bool              `json:"background"`
	Error             *responseError    `json:"error"`
	Incomplete        *incomplete       `json:"incomplete_details"`
	Instructions      *string           `json:"instructions"`
	MaxOutputTokens   *int              `json:"max_output_tokens"`
	Model             string            `json:"model"`
	Output            []item            `json:"output"`
	ParallelToolCalls bool              `json:"parallel_tool_calls"`
	PreviousID        *string           `json:"previous_response_id"`
	Store             bool              `json:"store"`
	Temperature       *float64          `json:"temperature"`
	Text              responseText      `json:"text"`
	ToolChoice        string            `json:"tool_choice"`
	Tools             []struct{}        `json:"tools"`
	TopP              *float64          `json:"top_p"`
	Truncation        string            `json:"truncation"`
	Usage             *responseUsage    `json:"usage"`
	Metadata          map[string]string `json:"metadata"`
}

type responseText struct {
	Format format `json:"format"`
}

type responseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type incomplete struct {
	Reason string `json:"reason"`
}

// An item is one of a response's output: a message, a call or reasoning.
type item struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Status    string     `json:"status,omitempty"`
	Role      string     `json:"role,omitempty"`
	Content   []itemPart `json:"content,omitzero"`
	Summary   []itemPart `json:"summary,omitzero"`
	CallID    string     `json:"call_id,omitempty"`
	Name      string     `json:"name,omitempty"`
	Arguments *string    `json:"arguments,omitempty"`
}

type itemPart struct {
	Type        string      `json:"type"`
	Text        string      `json:"text"`
	Annotations *[]struct{} `json:"annotations,omitempty"`
	Logprobs    *[]struct{} `json:"logprobs,omitempty"`
}

func outputText(text string) itemPart {
	return itemPart{Type: "output_text", Text: text, Annotations: &[]struct{}{}, Logprobs: &[]struct{}{}}
}

type responseUsage struct {
	InputTokens  int `json:"input_tokens"`
	InputDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens  int `json:"output_tokens"`
	OutputDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int `json:"total_tokens"`
}

func newResponseUsage(u *runnel.Usage) *responseUsage {
	if u == nil {
		return nil
	}
	r := &responseUsage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, TotalTokens: u.InputTokens + u.OutputTokens}
	r.InputDetails.CachedTokens, r.OutputDetails.ReasoningTokens = u.CacheReadTokens, u.ReasoningTokens
	return r
}

// newResponse returns the response object of a generation that has begun.
func newResponse(gen runnel.GenerationID, model string, created time.Time) response {
	return response{
		ID: responsePrefix + string(gen), Object: "response", CreatedAt: created.Unix(), Status: "in_progress", Model: model,
		Output: []item{}, ParallelToolCalls: true, Store: true, Text: responseText{format{"text"}},
		ToolChoice: "auto", Tools: []struct{}{}, Truncation: "disabled", Metadata: map[string]string{},
	}
}

// echo repeats the parameters of the request that made the response.
func (r *response) echo(b *responseRequest) {
	r.Background, r.Temperature, r.TopP = b.Background, b.Temperature, b.TopP
	if b.Instructions != "" {
		r.Instructions = &b.Instructions
	}
	if b.PreviousID != "" {
		r.PreviousID = &b.PreviousID
	}
	if b.MaxOutputTokens != 0 {
		r.MaxOutputTokens = &b.MaxOutputTokens
	}
	if b.Metadata != nil {
		r.Metadata = b.Metadata
	}
}

// generationOf returns the generation that a response's id names.
func generationOf(id string) (runnel.GenerationID, error) {
	gen, ok := strings.CutPrefix(id, responsePrefix)
	ok = ok && gen != "" && len(gen) <= 64
	for _, b := range []byte(gen) {
		ok = ok && (b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z')
	}
	if !ok {
		return "", refusal{param: "id", err: runnel.Errorf(runnel.NotFound, "there is no response with the id %.80q", id)}
	}
	return runnel.GenerationID(gen), nil
}

// finish sets how the generation ended, and returns the event that says so.
func (r *response) finish(state runnel.State, reason runnel.StopReason, usage *runnel.Usage, f *runnel.Failure) (event string) {
	r.Usage = newResponseUsage(usage)
	switch {
	case state == runnel.Failed:
		failure := newFailure(reply.ModelError(f))
		r.Status, r.Error = "failed", &responseError{Code: "server_error", Message: failure.Message}
		if failure.Code != nil && *failure.Code == "rate_limit_exceeded" {
			r.Error.Code = *failure.Code
		}
		return "response.failed"
	case state == runnel.Stopped:
		r.Status = "cancelled"
		return "response.incomplete"
	case reason == runnel.MaxTokens:
		r.Status, r.Incomplete = "incomplete", &incomplete{"max_output_tokens"}
		return "response.incomplete"
	case reason == runnel.Filtered:
		r.Status, r.Incomplete = "incomplete", &incomplete{"content_filter"}
		return "response.incomplete"
	}
	r.Status = "completed"
	return "response.completed"
}

// Items of an answer. Each has an id that follows from the generation.

func messageItem(gen runnel.GenerationID, status string, parts []itemPart) item {
	return item{ID: "msg_" + string(gen), Type: "message", Status: status, Role: "assistant", Content: parts}
}

func reasoningItem(gen runnel.GenerationID, parts []itemPart) item {
	return item{ID: "rs_" + string(gen), Type: "reasoning", Summary: parts}
}

func callItem(gen runnel.GenerationID, index int, status, callID, name, arguments string) item {
	return item{
		ID: "fc_" + string(gen) + "_" + strconv.Itoa(index), Type: "function_call", Status: status,
		CallID: callID, Name: name, Arguments: &arguments,
	}
}
