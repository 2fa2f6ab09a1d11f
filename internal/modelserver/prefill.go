package modelserver

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// Some models go on with an answer whose beginning is the conversation's last
// message. Each vendor has its own rules for when that may be.

// closed are the Claudes that refuse it.
var closed = regexp.MustCompile(`claude-((opus|sonnet|haiku)-(4-[6-9]|[5-9])|fable|mythos)`)

// open are the models on Bedrock to which Converse lets it through.
var open = regexp.MustCompile(`anthropic\.claude-|amazon\.nova-`)

// begins says that the question's last message, if it is the assistant's, is the
// beginning of the answer.
func (q *question) begins(messages []message) {
	if last := len(messages) - 1; last >= 0 && messages[last].Role == "assistant" {
		q.beginning = string(messages[last].Content)
	}
}

// claudeMay returns an error if a Claude would refuse the beginning.
func (q *question) claudeMay(model string) error {
	switch {
	case q.beginning == "":
		return nil
	case closed.MatchString(model):
		//lint:ignore ST1005 the vendor's words
		return errors.New("This model does not support assistant message prefill. The conversation must end with a user message.")
	case strings.TrimRightFunc(q.beginning, unicode.IsSpace) != q.beginning:
		return errors.New("messages: final assistant content cannot end with trailing whitespace")
	}
	return nil
}

// converseMay returns an error if Converse would refuse the beginning.
func (q *question) converseMay(model string) error {
	if q.beginning != "" && !open.MatchString(model) {
		//lint:ignore ST1005 the vendor's words
		return errors.New("The model that you are using requires the last turn in the conversation to be a user message. " +
			"Add a user message to the conversation and try again.")
	}
	return q.claudeMay(model)
}

// skipped returns how many tokens of an answer of n have been said in beginning,
// and what is still to be said of the last of them. An answer that begins
// otherwise is given from its start.
func skipped(seed uint64, n int, beginning string) (tokens int, rest string) {
	for i := range n {
		if beginning == "" {
			return i, ""
		}
		t := token(seed, i)
		if said, ok := strings.CutPrefix(beginning, t); ok {
			beginning = said
			continue
		}
		if rest, ok := strings.CutPrefix(t, beginning); ok {
			return i + 1, rest
		}
		return 0, ""
	}
	if beginning != "" {
		return 0, ""
	}
	return n, ""
}
