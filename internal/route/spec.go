package route

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/runnelhq/runnel"
)

// A Spec names a provider's model and how it is to be called.
type Spec struct {
	Provider string     // such as bedrock
	Model    string     // what the vendor calls it; may be empty
	Settings url.Values // the provider's own
}

// Name returns the spec without its settings. It is what clients see.
func (s Spec) Name() string {
	if s.Model == "" {
		return s.Provider
	}
	return s.Provider + "/" + s.Model
}

// ParseSpec reads PROVIDER[/MODEL][?SETTINGS], where the settings have the form
// of a URL's query. The model may hold slashes and colons of its own. The error
// is of kind Invalid and quotes no settings.
func ParseSpec(text string) (Spec, error) {
	name, query, _ := strings.Cut(text, "?")
	var s Spec
	s.Provider, s.Model, _ = strings.Cut(name, "/")
	if strings.HasSuffix(name, "/") || !validProvider(s.Provider) || !validModel(s.Model) {
		return Spec{}, runnel.Errorf(runnel.Invalid, "%.120q is not a model; write PROVIDER, PROVIDER/MODEL or PROVIDER/MODEL?SETTING=VALUE", name)
	}
	var err error
	if s.Settings, err = url.ParseQuery(query); err != nil {
		return Spec{}, runnel.Errorf(runnel.Invalid, "%s: the settings after the question mark are not of the form a=1&b=2", name)
	}
	return s, nil
}

func validProvider(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return name != ""
}

func validModel(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == ','
	})
}
