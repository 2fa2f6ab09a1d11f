package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/function"
)

// Print writes the configuration as a file that [Load] reads. Secrets are
// masked, and every line says where its value comes from.
func (l *Loaded) Print(w io.Writer) error {
	var out bytes.Buffer
	group := ""
	for _, s := range Settings() {
		if s.Group != group {
			if group != "" {
				out.WriteByte('\n')
			}
			group = s.Group
			fmt.Fprintf(&out, "# %s\n", group)
		}
		if err := l.printSetting(&out, s); err != nil {
			return fmt.Errorf("config: print %s: %w", s.Name, err)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (l *Loaded) printSetting(out *bytes.Buffer, s Setting) error {
	if s.structured() {
		return l.printStructured(out, s)
	}
	text, err := yaml.MarshalWithOptions(printable(s.value(&l.Config).Interface()), yaml.Flow(true))
	if err != nil {
		return err
	}
	l.printLine(out, s, s.Key()+": "+strings.TrimSpace(string(text)))
	return nil
}

func (l *Loaded) printLine(out *bytes.Buffer, s Setting, line string) {
	origin := l.Origins[s.Name]
	if origin == "" {
		origin = "default"
	}
	fmt.Fprintf(out, "%-40s # %s\n", line, origin)
}

// printStructured prints a setting over several lines; as a comment if there is
// nothing in it.
func (l *Loaded) printStructured(out *bytes.Buffer, s Setting) error {
	v := s.value(&l.Config)
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		l.printLine(out, s, "# "+s.Key()+":")
		return nil
	}
	text, err := yaml.MarshalWithOptions(printable(v.Interface()), yaml.OmitZero())
	if err != nil {
		return err
	}
	l.printLine(out, s, s.Key()+":")
	for line := range strings.Lines(string(text)) {
		out.WriteString("  " + line)
	}
	return nil
}

// printable returns a value in the form in which a user would write it.
func printable(v any) any {
	switch v := v.(type) {
	case string:
		return mask(v)
	case []string:
		masked := make([]string, 0, len(v))
		for _, item := range v {
			masked = append(masked, mask(item))
		}
		return masked
	case map[string][]string:
		routes := yaml.MapSlice{}
		for name, specs := range v {
			routes = append(routes, yaml.MapItem{Key: name, Value: printable(specs)})
		}
		slices.SortFunc(routes, func(a, b yaml.MapItem) int {
			return strings.Compare(a.Key.(string), b.Key.(string))
		})
		return routes
	case []function.Config:
		masked := slices.Clone(v)
		for i := range masked {
			masked[i].HTTP = mask(masked[i].HTTP)
		}
		return masked
	case *auth.Webhook:
		masked := *v
		masked.URL = mask(v.URL)
		return masked
	case Size:
		return v.String()
	case time.Duration:
		return shortDuration(v)
	}
	return v
}

// shortDuration writes 72h for what time.Duration calls 72h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var (
	userinfo = regexp.MustCompile(`://[^/?#\s]*@`)
	// secretLine is a secret of the file itself, to the end of its line, and
	// secretBlock one that goes on over lines.
	secretLine  = regexp.MustCompile(`(?i)((?:secret|session_token|password)["']?\s*:[ \t]*)[^|>\s].*`)
	secretBlock = regexp.MustCompile(`(?is)((?:secret|session_token|password)["']?\s*:[ \t]*)[|>].*`)
	// secretVariable is one in the environment of a function.
	secretVariable = regexp.MustCompile(`\b([A-Z_][A-Z0-9_]*=)[^\s,\]"'#]+`)
	secretQuery    = regexp.MustCompile(`(?i)([?&][a-z0-9_.-]*(?:key|secret|password|token)=)[^&\s]+`)
)

// mask hides what a URL or a model's settings may hold that nobody should read
// over a shoulder.
func mask(text string) string {
	text = userinfo.ReplaceAllString(text, "://***@")
	return secretQuery.ReplaceAllString(text, "${1}***")
}

// maskLines hides the secrets in an excerpt of the file.
func maskLines(text string) string {
	text = secretVariable.ReplaceAllString(text, "${1}***")
	return mask(secretBlock.ReplaceAllString(secretLine.ReplaceAllString(text, "${1}***"), "${1}***"))
}
