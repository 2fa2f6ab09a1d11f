package echo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// A script is everything that the echo will say to one prompt.
type script struct {
	reasoning string
	text      string
	call      *runnel.ToolCall
	end       runnel.End
	another   bool // than the one that it is to go on with
}

func write(cfg *Config, p *runnel.Prompt) script {
	question, fromTool := asked(p)
	s := script{
		reasoning: firstWords(filler(question, cfg.Reasoning), cfg.Reasoning),
		text:      answer(question, fromTool),
		end:       runnel.End{StopReason: runnel.EndTurn, Model: "echo", Usage: &runnel.Usage{InputTokens: size(p)}},
	}
	if cfg.Tokens > 0 {
		s.text = firstWords(s.text+"\n\n"+filler(question, cfg.Tokens), cfg.Tokens)
	}
	if cfg.Tool && !fromTool {
		s.call, s.end.StopReason = call(p, question), runnel.ToolUse
	}
	for _, stop := range p.Stop {
		if before, _, found := strings.Cut(s.text, stop); found && stop != "" {
			s.text, s.call, s.end.StopReason = before, nil, runnel.StopSequence
		}
	}
	if p.Continue {
		beginning := p.Messages[len(p.Messages)-1].Text()
		s.reasoning, s.another = "", !strings.HasPrefix(s.text, beginning)
		s.text = strings.TrimPrefix(s.text, beginning)
	}
	if p.MaxTokens > 0 {
		if short := firstWords(s.text, p.MaxTokens); short != s.text {
			s.text, s.call, s.end.StopReason = short, nil, runnel.MaxTokens
		}
	}
	return s
}

// deltas returns the script token by token, with its end.
func (s script) deltas() iter.Seq[runnel.Delta] {
	return func(yield func(runnel.Delta) bool) {
		usage := s.end.Usage
		for word := range words(s.reasoning) {
			usage.ReasoningTokens++
			if !yield(runnel.Delta{Reasoning: word}) {
				return
			}
		}
		usage.OutputTokens = usage.ReasoningTokens
		for word := range words(s.text) {
			usage.OutputTokens++
			if !yield(runnel.Delta{Text: word}) {
				return
			}
		}
		if s.call != nil {
			if !yield(runnel.Delta{Tool: &runnel.ToolDelta{ID: s.call.ID, Name: s.call.Name}}) {
				return
			}
			for word := range words(string(s.call.Input)) {
				usage.OutputTokens++
				if !yield(runnel.Delta{Tool: &runnel.ToolDelta{Input: word}}) {
					return
				}
			}
		}
		yield(runnel.Delta{End: &s.end})
	}
}

// asked returns what the last message asks: its text, or what a tool has
// answered. In the second case the echo does not call a tool again, or a client
// that runs tools by itself would never be done.
func asked(p *runnel.Prompt) (question string, fromTool bool) {
	messages := p.Messages
	if p.Continue {
		messages = messages[:len(messages)-1]
	}
	if n := len(messages); n > 0 {
		for _, part := range messages[n-1].Parts {
			if part.ToolResult != nil {
				return part.ToolResult.Content, true
			}
		}
	}
	return p.Text(), false
}

func answer(question string, fromTool bool) string {
	opening := "You said: “" + beginning(question) + "”"
	switch {
	case fromTool:
		opening = "The tool answered: “" + beginning(question) + "”"
	case strings.TrimSpace(question) == "":
		opening = "You said nothing that I could repeat."
	}
	return opening + `

This is **echo**, the model that needs no key and no network. It gives the same answer to the same question every time, ` +
		`which makes a few things easy to try while it is still talking:

1. Reload the page, or open it on a second device: the answer goes on where it was.
2. Press stop, and it stops at once.
3. Kill the server and start it again. Not a word is lost, and none comes twice.

When you have seen enough, start Runnel with ` + "`--model`" + ` and the name of a real one.`
}

// beginning returns the first words of a question, on one line.
func beginning(question string) string {
	const limit = 120 // bytes; a long paste should not become a long answer
	line := strings.Join(strings.Fields(question), " ")
	if len(line) <= limit {
		return line
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	if space := strings.LastIndexByte(line[:cut], ' '); space > limit/2 {
		cut = space
	}
	return line[:cut] + " …"
}

// filler returns at least n words for those who need a long answer. The lines
// are numbered and differ from question to question, so that a lost line, or one
// that belongs to somebody else, shows.
func filler(question string, n int) string {
	vocabulary := [...]string{"rain", "falls", "on", "quiet", "hills", "and", "finds", "the", "stream", "below",
		"stones", "turn", "slowly", "under", "clear", "water", "while", "every", "drop", "goes", "down", "to", "sea"}
	h := fnv.New64a()
	_, _ = h.Write([]byte(question)) // never fails
	seed := h.Sum64()
	var b strings.Builder
	for i := range n {
		if i%10 == 0 {
			if i > 0 {
				b.WriteString(".\n")
			}
			fmt.Fprintf(&b, "%d.", i/10+1)
			continue
		}
		seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		b.WriteByte(' ')
		b.WriteString(vocabulary[seed>>33%uint64(len(vocabulary))])
	}
	return b.String()
}

// call returns a call of the tool that the prompt demands, or of its first.
func call(p *runnel.Prompt, question string) *runnel.ToolCall {
	name := p.ToolChoice.Name
	if name == "" && len(p.Tools) > 0 {
		name = p.Tools[0].Name
	}
	if name == "" {
		name = "echo"
	}
	text, _ := json.Marshal(beginning(question)) // a string always has a JSON form
	return &runnel.ToolCall{ID: "call_echo", Name: name, Input: []byte(`{"text": ` + string(text) + `}`)}
}

// size estimates the tokens of a prompt, counting a word as one.
func size(p *runnel.Prompt) int {
	n := len(strings.Fields(p.System))
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			n += len(strings.Fields(part.Text))
		}
	}
	return n
}

// firstWords returns the first n words of text as it is.
func firstWords(text string, n int) string {
	rest := text
	for ; n > 0 && rest != ""; n-- {
		_, rest = nextWord(rest)
	}
	return text[:len(text)-len(rest)]
}

// words cuts text into words, each with the space before it. Joined they are text.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for word := ""; text != ""; {
			if word, text = nextWord(text); !yield(word) {
				return
			}
		}
	}
}

func nextWord(text string) (word, rest string) {
	start := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsSpace(r) })
	if start < 0 {
		return text, ""
	}
	n := strings.IndexFunc(text[start:], unicode.IsSpace)
	if n < 0 {
		return text, ""
	}
	return text[:start+n], text[start+n:]
}
