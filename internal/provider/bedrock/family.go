package bedrock

import (
	"maps"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
)

// A family is what a kind of model takes and gives.
type family struct {
	request func(*runnel.Prompt) (any, error) // the body, to be marshalled
	decode  decoder
	// completes says that the request is one text, with which any model goes on.
	completes bool
}

// families are the families by the names that the setting family takes.
var families = map[string]*family{
	"claude":      &claude,
	"claude-text": {request: claudeTextRequest, decode: decodeText, completes: true},
	"nova":        &nova,
	"titan":       {request: titanRequest, decode: decodeText, completes: true},
	"llama":       {request: llamaRequest, decode: decodeText, completes: true},
	"mistral":     {request: mistralRequest, decode: decodeText, completes: true},
	"command":     {request: commandRequest, decode: decodeText, completes: true},
	"command-r":   {request: commandRRequest, decode: decodeText},
	"chat":        {request: chatRequest, decode: decodeText},
}

func familyNames() string { return strings.Join(slices.Sorted(maps.Keys(families)), ", ") }

// familyOf says which family a part of a model's id stands for. The first that
// is found counts.
var familyOf = [...]struct{ part, family string }{
	{"anthropic.claude-v1", "claude-text"},
	{"anthropic.claude-v2", "claude-text"},
	{"anthropic.claude-instant", "claude-text"},
	{"anthropic.", "claude"},
	{"amazon.nova", "nova"},
	{"amazon.titan", "titan"},
	{"meta.llama", "llama"},
	{"mistral.mistral-7b", "mistral"},
	{"mistral.mixtral-8x7b", "mistral"},
	{"mistral.mistral-large-2402", "mistral"},
	{"mistral.mistral-small-2402", "mistral"},
	{"mistral.", "chat"},
	{"cohere.command-r", "command-r"},
	{"cohere.command", "command"},
	{"ai21.jamba", "chat"},
	{"openai.", "chat"},
	{"qwen.", "chat"},
}

// chooseFamily returns the family of a model.
func chooseFamily(model, name string) (*family, error) {
	if f := families[name]; f != nil {
		return f, nil
	}
	for _, f := range familyOf {
		if name == "" && strings.Contains(model, f.part) {
			return families[f.family], nil
		}
	}
	return nil, runnel.Errorf(runnel.Invalid, "bedrock: cannot tell the family of %.80q; set family= to one of %s", model, familyNames())
}
