package prefill

import "regexp"

// table has the models that can, by provider and by a part of their names.
var table = []struct {
	provider string
	model    *regexp.Regexp
}{
	{"anthropic", claude},
	{"bedrock", claude},
	{"bedrock", regexp.MustCompile(`amazon\.nova-(micro|lite|pro|premier)-v1`)},
	{"echo", every},
	{"ollama", every},
}

var (
	claude = regexp.MustCompile(`claude-(v?[12][:.\-]|instant|3-|(opus|sonnet|haiku)-4-([0-5]|20\d{6})(\D|$))`)
	every  = regexp.MustCompile(``)
)

// Known reports whether a provider's model is known to go on with an answer.
func Known(provider, model string) bool {
	for _, can := range table {
		if can.provider == provider && can.model.MatchString(model) {
			return true
		}
	}
	return false
}
