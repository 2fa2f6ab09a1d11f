package bedrock

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
)

// maxMetadata is how many pairs a request's metadata may have, as at Bedrock.
const maxMetadata = 16

// route returns the route that a model id stands for.
func (h *Handler) route(id string) (string, error) {
	known := h.cfg.Models()
	for _, name := range spellings(id) {
		for _, route := range []string{name, "bedrock/" + name} {
			if slices.Contains(known, route) {
				return route, nil
			}
		}
		if route, ok := h.mapped(name); ok {
			return route, nil
		}
	}
	return "", runnel.Errorf(runnel.NotFound,
		"the model %.160q is not known here; map its id to one of %.600s in the setting bedrock_models", id, strings.Join(known, ", "))
}

// spellings returns an id, then what an ARN or an inference profile stands for.
func spellings(id string) []string {
	all := []string{id}
	if strings.HasPrefix(id, "arn:") {
		id = id[strings.LastIndexByte(id, '/')+1:]
		all = append(all, id)
	}
	// us.anthropic.claude-…: a region's profile of a vendor's model.
	if region, model, ok := strings.Cut(id, "."); ok && strings.Contains(model, ".") {
		switch region {
		case "us", "us-gov", "eu", "apac", "ap", "au", "ca", "jp", "global":
			all = append(all, model)
		}
	}
	return all
}

// mapped looks an id up in the configuration.
func (h *Handler) mapped(id string) (route string, ok bool) {
	if route, ok = h.cfg.Mapped[id]; ok {
		return route, true
	}
	longest := -1
	for pattern, to := range h.cfg.Mapped {
		if prefix, open := strings.CutSuffix(pattern, "*"); open && strings.HasPrefix(id, prefix) && len(prefix) > longest {
			longest, route = len(prefix), to
		}
	}
	return route, longest >= 0
}

// metadataHeader reads the metadata of InvokeModel: a JSON object of strings.
func metadataHeader(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	var pairs map[string]string
	if err := json.Unmarshal([]byte(text), &pairs); err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "the request metadata is not a JSON object of strings").Because(err)
	}
	return pairs, checkMetadata(pairs)
}

func checkMetadata(pairs map[string]string) error {
	if len(pairs) > maxMetadata {
		return runnel.Errorf(runnel.Invalid, "the request metadata has %d pairs; the limit is %d", len(pairs), maxMetadata)
	}
	return nil
}

// familyOf says which family a part of a model's id stands for. The first that
// is found counts.
var familyOf = [...]struct {
	part   string
	family *family
}{
	{"anthropic.claude-v1", &claudeText},
	{"anthropic.claude-v2", &claudeText},
	{"anthropic.claude-instant", &claudeText},
	{"anthropic.", &claude},
	{"amazon.nova", &nova},
	{"amazon.titan", &titan},
	{"meta.llama", &llama},
	{"mistral.mistral-7b", &mistral},
	{"mistral.mixtral-8x7b", &mistral},
	{"mistral.mistral-large-2402", &mistral},
	{"mistral.mistral-small-2402", &mistral},
	{"mistral.", &chat},
	{"cohere.command-r", &commandR},
	{"cohere.command", &command},
	{"ai21.jamba", &chat},
	{"openai.", &chat},
	{"qwen.", &chat},
	{"deepseek.", &chat},
}

// chooseFamily returns the family of a model by its id, or, if that says nothing,
// by the members of the request.
func chooseFamily(id string, body map[string]json.RawMessage) (*family, error) {
	has := func(name string) bool { _, ok := body[name]; return ok }
	for _, f := range familyOf {
		if !strings.Contains(id, f.part) {
			continue
		}
		switch {
		case f.family == &claudeText && has("messages"): // the old ones learned it later
			return &claude, nil
		case f.family == &mistral && has("messages"):
			return &chat, nil
		}
		return f.family, nil
	}
	for _, f := range []struct {
		member string
		family *family
	}{
		{"anthropic_version", &claude}, {"schemaVersion", &nova}, {"max_tokens_to_sample", &claudeText}, {"inputText", &titan},
		{"max_gen_len", &llama}, {"message", &commandR}, {"messages", &chat}, {"stream", &command}, {"prompt", &mistral},
	} {
		if has(f.member) {
			return f.family, nil
		}
	}
	return nil, runnel.Errorf(runnel.Invalid, "neither the model id %.80q nor the request tells which form the request has", id)
}
