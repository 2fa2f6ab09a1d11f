package function

import (
	"encoding/json"
	"fmt"

	"github.com/runnelhq/runnel"
)

// An event is what the handler gets.
type event struct {
	Type       string `json:"type"`
	Session    string `json:"session"`
	Generation string `json:"generation"`

	Prompt      string             `json:"prompt"`
	System      string             `json:"system,omitempty"`
	Messages    []runnel.Message   `json:"messages"`
	MaxTokens   int                `json:"max_tokens,omitempty"`
	Temperature *float64           `json:"temperature,omitempty"`
	TopP        *float64           `json:"top_p,omitempty"`
	Stop        []string           `json:"stop,omitempty"`
	Tools       []runnel.Tool      `json:"tools,omitempty"`
	ToolChoice  *runnel.ToolChoice `json:"tool_choice,omitempty"`
	Metadata    map[string]string  `json:"metadata,omitempty"`
	Continue    bool               `json:"continue,omitempty"`
}

func encode(p *runnel.Prompt) ([]byte, error) {
	e := event{
		Type: "generation", Session: string(p.Session), Generation: string(p.Generation),
		Prompt: p.Text(), System: p.System, Messages: p.Messages,
		MaxTokens: p.MaxTokens, Temperature: p.Temperature, TopP: p.TopP, Stop: p.Stop, Tools: p.Tools, Metadata: p.Metadata,
		Continue: p.Continue,
	}
	if p.ToolChoice != (runnel.ToolChoice{}) {
		e.ToolChoice = &p.ToolChoice
	}
	data, err := json.Marshal(e)
	if err != nil { // a schema or a tool call that is not JSON
		return nil, runnel.Errorf(runnel.Invalid, "the prompt has a part that is not JSON").Because(fmt.Errorf("function: encode prompt: %w", err))
	}
	return data, nil
}
