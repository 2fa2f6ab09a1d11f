package bedrock

import (
	"encoding/json"
	"strings"

	"github.com/runnelhq/runnel"
)

// readInvoke reads a request in the form of the model's family.
func readInvoke(id string, data []byte) (q question, err error) {
	var members map[string]json.RawMessage
	if err := decode(data, &members); err != nil {
		return q, err
	}
	f, err := chooseFamily(id, members)
	if err != nil {
		return q, err
	}
	q.form = f.form(id)
	q.prompt, err = f.read(data)
	return q, err
}

// A textRequest has the members of all requests that are one text. No two
// families mean different things by one of them.
type textRequest struct {
	Prompt    string `json:"prompt"`
	InputText string `json:"inputText"` // Titan

	MaxTokens   int      `json:"max_tokens"`
	MaxToSample int      `json:"max_tokens_to_sample"` // Claude
	MaxGenLen   int      `json:"max_gen_len"`          // Llama
	Temperature *float64 `json:"temperature"`
	TopP        *float64 `json:"top_p"`
	P           *float64 `json:"p"` // Command
	Stop        []string `json:"stop"`
	Sequences   []string `json:"stop_sequences"`

	Config struct { // Titan
		MaxTokens   int      `json:"maxTokenCount"`
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"topP"`
		Sequences   []string `json:"stopSequences"`
	} `json:"textGenerationConfig"`

	// Command R
	Message  string `json:"message"`
	Preamble string `json:"preamble"`
	History  []struct {
		Role    string `json:"role"`
		Message string `json:"message"`
	} `json:"chat_history"`
	Tools json.RawMessage `json:"tools"`
}

func (b *textRequest) prompt() runnel.Prompt {
	p := runnel.Prompt{
		MaxTokens: max(b.MaxTokens, b.MaxToSample, b.MaxGenLen, b.Config.MaxTokens),
		Stop:      append(append(b.Stop, b.Sequences...), b.Config.Sequences...),
	}
	for _, v := range []*float64{b.Config.Temperature, b.Temperature} {
		if v != nil {
			p.Temperature = v
		}
	}
	for _, v := range []*float64{b.Config.TopP, b.P, b.TopP} {
		if v != nil {
			p.TopP = v
		}
	}
	return p
}

// readText reads a request that is one text, in a template.
func (t *template) readText(data []byte) (runnel.Prompt, error) {
	var b textRequest
	if err := decode(data, &b); err != nil {
		return runnel.Prompt{}, err
	}
	p := b.prompt()
	p.System, p.Messages = t.parse(b.Prompt + b.InputText)
	p.Stop = t.withoutTurns(p.Stop)
	return p, nil
}

// readCommandR reads a request of Command R, which has messages.
func readCommandR(data []byte) (runnel.Prompt, error) {
	var b textRequest
	if err := decode(data, &b); err != nil {
		return runnel.Prompt{}, err
	}
	if given(b.Tools) {
		return runnel.Prompt{}, runnel.Errorf(runnel.Invalid, "tools are not supported in this model's own form; they are with Converse")
	}
	p := b.prompt()
	p.System = b.Preamble
	for _, m := range b.History {
		role := runnel.User
		switch m.Role {
		case "CHATBOT":
			role = runnel.Assistant
		case "SYSTEM":
			p.System = strings.TrimSpace(p.System + "\n\n" + m.Message)
			continue
		}
		p.Messages = append(p.Messages, runnel.TextMessage(role, m.Message))
	}
	p.Messages = append(p.Messages, runnel.TextMessage(runnel.User, b.Message))
	return p, nil
}

// A template is how a family makes one text of a conversation: what stands in
// front of each message, and what means nothing by itself.
type template struct {
	system, user, assistant string
	noise                   []string
	// head says whose the text is before the first mark: the system's, or, if it
	// is all there is, the user's.
	head bool
}

var (
	humanTemplate   = template{user: "\n\nHuman:", assistant: "\n\nAssistant:", head: true}
	botTemplate     = template{user: "\nUser:", assistant: "\nBot:", head: true}
	chatbotTemplate = template{user: "\nUser:", assistant: "\nChatbot:", head: true}
	llamaTemplate   = template{
		system: "<|start_header_id|>system<|end_header_id|>", user: "<|start_header_id|>user<|end_header_id|>",
		assistant: "<|start_header_id|>assistant<|end_header_id|>",
		noise:     []string{"<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"},
	}
	instTemplate = template{user: "[INST]", assistant: "[/INST]", noise: []string{"<s>", "</s>"}}
)

// readLlama reads a request of any Llama: the second ones have another template
// than the third.
func readLlama(data []byte) (runnel.Prompt, error) {
	var b textRequest
	if err := decode(data, &b); err != nil {
		return runnel.Prompt{}, err
	}
	if strings.Contains(b.Prompt, instTemplate.user) {
		p, err := instTemplate.readText(data)
		if err == nil && p.System == "" && len(p.Messages) > 0 {
			p.System = cutSystem(&p.Messages[0])
		}
		return p, err
	}
	return llamaTemplate.readText(data)
}

// cutSystem takes the system's text out of a Llama 2's first question.
func cutSystem(m *runnel.Message) string {
	head, rest, ok := strings.Cut(m.Text(), "<</SYS>>")
	if !ok {
		return ""
	}
	m.Parts = []runnel.Part{{Text: strings.TrimSpace(rest)}}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(head), "<<SYS>>"))
}

// parse takes a text apart. One without a mark is a question.
func (t *template) parse(text string) (system string, messages []runnel.Message) {
	for _, n := range t.noise {
		text = strings.ReplaceAll(text, n, "")
	}
	// A prompt may begin with a mark, and people forget the empty lines around
	// them.
	text = "\n\n" + strings.TrimSpace(text)
	role, rest := runnel.Role(""), text
	for {
		at, mark, next := t.next(rest)
		said := strings.TrimSpace(rest[:at])
		switch {
		case said == "":
		case role == "" && t.head && mark != "":
			system = said
		case role == "":
			messages = append(messages, runnel.TextMessage(runnel.User, said))
		case role == "system":
			system = strings.TrimSpace(system + "\n\n" + said)
		default:
			messages = append(messages, runnel.TextMessage(role, said))
		}
		if mark == "" {
			return system, t.lenient(messages)
		}
		role, rest = next, rest[at+len(mark):]
	}
}

// next returns where the next mark is, and who speaks after it; the text's end
// if there is none.
func (t *template) next(text string) (at int, mark string, role runnel.Role) {
	at = len(text)
	for _, m := range []struct {
		mark string
		role runnel.Role
	}{{t.system, "system"}, {t.user, runnel.User}, {t.assistant, runnel.Assistant}} {
		if m.mark == "" {
			continue
		}
		if i := strings.Index(text, m.mark); i >= 0 && i < at {
			at, mark, role = i, m.mark, m.role
		}
	}
	return at, mark, role
}

// lenient takes the invitation to answer off the last question where it is not
// on a line of its own.
func (t *template) lenient(messages []runnel.Message) []runnel.Message {
	last := len(messages) - 1
	if last < 0 || messages[last].Role != runnel.User {
		return messages
	}
	if rest, ok := strings.CutSuffix(messages[last].Text(), strings.TrimSpace(t.assistant)); ok && strings.TrimSpace(rest) != "" {
		messages[last] = runnel.TextMessage(runnel.User, strings.TrimSpace(rest))
	}
	return messages
}

// withoutTurns leaves out the stop sequences that only keep a model from asking
// the next question itself: no model here sees the template.
func (t *template) withoutTurns(stop []string) []string {
	var kept []string
	for _, s := range stop {
		if s != "" && !strings.Contains(t.user, strings.TrimSpace(s)) {
			kept = append(kept, s)
		}
	}
	return kept
}
