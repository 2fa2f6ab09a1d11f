package bedrock

import (
	"strings"

	"github.com/runnelhq/runnel"
)

// The requests of the families that take one text, or a conversation of texts.
// Everything that a family cannot express is refused rather than left out.

// A template makes one text of a conversation.
type template struct {
	start           string
	system          [2]string // around the system's text
	user, assistant [2]string // around a message
	end             string    // what the model goes on from
	inline          bool      // the system's text goes into the first question
	bare            bool      // a single question needs no template
}

var (
	humanTemplate = template{
		user: [2]string{"\n\nHuman: "}, assistant: [2]string{"\n\nAssistant: "}, end: "\n\nAssistant:",
	}
	botTemplate = template{
		system: [2]string{"", "\n\n"},
		user:   [2]string{"User: ", "\n"}, assistant: [2]string{"Bot: ", "\n"}, end: "Bot:",
	}
	chatbotTemplate = template{
		system: [2]string{"", "\n\n"},
		user:   [2]string{"User: ", "\n"}, assistant: [2]string{"Chatbot: ", "\n"}, end: "Chatbot:", bare: true,
	}
	llamaTemplate = template{
		start:     "<|begin_of_text|>",
		system:    [2]string{"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
		user:      [2]string{"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
		assistant: [2]string{"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
		end:       "<|start_header_id|>assistant<|end_header_id|>\n\n",
	}
	mistralTemplate = template{
		start: "<s>",
		user:  [2]string{"[INST] ", " [/INST]"}, assistant: [2]string{" ", "</s>"}, inline: true,
	}
)

// render returns the conversation as one text.
func (t *template) render(p *runnel.Prompt) (string, error) {
	if err := textOnly(p); err != nil {
		return "", err
	}
	if t.bare && p.System == "" && len(p.Messages) == 1 {
		return p.Messages[0].Text(), nil
	}
	var b strings.Builder
	b.WriteString(t.start)
	system := p.System
	if system != "" && !t.inline {
		b.WriteString(t.system[0] + system + t.system[1])
		system = ""
	}
	for i, m := range p.Messages {
		around, text := t.user, m.Text()
		switch {
		case m.Role == runnel.Assistant:
			around = t.assistant
		case system != "":
			text, system = system+"\n\n"+text, ""
		}
		if p.Continue && i == len(p.Messages)-1 { // left open
			b.WriteString(around[0] + text)
			return b.String(), nil
		}
		b.WriteString(around[0] + text + around[1])
	}
	b.WriteString(t.end)
	return b.String(), nil
}

// textOnly refuses what a family that knows texts alone cannot be asked.
func textOnly(p *runnel.Prompt) error {
	if len(p.Tools) > 0 && p.ToolChoice.Mode != "none" {
		return runnel.Errorf(runnel.Invalid, "this model, called with api=invoke, takes no tools")
	}
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			if part.Image != nil || part.ToolCall != nil || part.ToolResult != nil {
				return runnel.Errorf(runnel.Invalid, "this model, called with api=invoke, takes text only")
			}
		}
	}
	return nil
}

func claudeTextRequest(p *runnel.Prompt) (any, error) {
	type body struct {
		Prompt        string   `json:"prompt"`
		MaxTokens     int      `json:"max_tokens_to_sample"`
		Temperature   *float64 `json:"temperature,omitempty"`
		TopP          *float64 `json:"top_p,omitempty"`
		StopSequences []string `json:"stop_sequences,omitempty"`
	}
	text, err := humanTemplate.render(p)
	b := body{text, p.MaxTokens, p.Temperature, p.TopP, p.Stop}
	if b.MaxTokens == 0 {
		b.MaxTokens = claudeMaxTokens
	}
	return b, err
}

func titanRequest(p *runnel.Prompt) (any, error) {
	type config struct {
		MaxTokens     int      `json:"maxTokenCount,omitempty"`
		Temperature   *float64 `json:"temperature,omitempty"`
		TopP          *float64 `json:"topP,omitempty"`
		StopSequences []string `json:"stopSequences,omitempty"`
	}
	type body struct {
		Text   string `json:"inputText"`
		Config config `json:"textGenerationConfig"`
	}
	text, err := botTemplate.render(p)
	return body{text, config{p.MaxTokens, p.Temperature, p.TopP, p.Stop}}, err
}

func llamaRequest(p *runnel.Prompt) (any, error) {
	type body struct {
		Prompt      string   `json:"prompt"`
		MaxTokens   int      `json:"max_gen_len,omitempty"`
		Temperature *float64 `json:"temperature,omitempty"`
		TopP        *float64 `json:"top_p,omitempty"`
	}
	if len(p.Stop) > 0 {
		return nil, runnel.Errorf(runnel.Invalid, "this model, called with api=invoke, takes no stop sequences")
	}
	text, err := llamaTemplate.render(p)
	return body{text, p.MaxTokens, p.Temperature, p.TopP}, err
}

func mistralRequest(p *runnel.Prompt) (any, error) {
	type body struct {
		Prompt      string   `json:"prompt"`
		MaxTokens   int      `json:"max_tokens,omitempty"`
		Temperature *float64 `json:"temperature,omitempty"`
		TopP        *float64 `json:"top_p,omitempty"`
		Stop        []string `json:"stop,omitempty"`
	}
	text, err := mistralTemplate.render(p)
	return body{text, p.MaxTokens, p.Temperature, p.TopP, p.Stop}, err
}

func commandRequest(p *runnel.Prompt) (any, error) {
	type body struct {
		Prompt        string   `json:"prompt"`
		Stream        bool     `json:"stream"` // without it there is one chunk
		MaxTokens     int      `json:"max_tokens,omitempty"`
		Temperature   *float64 `json:"temperature,omitempty"`
		TopP          *float64 `json:"p,omitempty"`
		StopSequences []string `json:"stop_sequences,omitempty"`
	}
	text, err := chatbotTemplate.render(p)
	return body{text, true, p.MaxTokens, p.Temperature, p.TopP, p.Stop}, err
}

func commandRRequest(p *runnel.Prompt) (any, error) {
	type entry struct {
		Role    string `json:"role"`
		Message string `json:"message"`
	}
	type body struct {
		Message       string   `json:"message"`
		History       []entry  `json:"chat_history,omitempty"`
		Preamble      string   `json:"preamble,omitempty"`
		MaxTokens     int      `json:"max_tokens,omitempty"`
		Temperature   *float64 `json:"temperature,omitempty"`
		TopP          *float64 `json:"p,omitempty"`
		StopSequences []string `json:"stop_sequences,omitempty"`
	}
	if err := textOnly(p); err != nil {
		return nil, err
	}
	b := body{Preamble: p.System, MaxTokens: p.MaxTokens, Temperature: p.Temperature, TopP: p.TopP, StopSequences: p.Stop}
	for i, m := range p.Messages {
		switch {
		case i == len(p.Messages)-1:
			b.Message = m.Text()
		case m.Role == runnel.User:
			b.History = append(b.History, entry{"USER", m.Text()})
		default:
			b.History = append(b.History, entry{"CHATBOT", m.Text()})
		}
	}
	return b, nil
}
