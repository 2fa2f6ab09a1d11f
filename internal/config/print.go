package config

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
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
	text, err := yaml.MarshalWithOptions(printable(s.value(&l.Config).Interface()), yaml.Flow(true))
	if err != nil {
		return err
	}
	line := s.Key() + ": " + strings.TrimSpace(string(text))
	origin := l.Origins[s.Name]
	if origin == "" {
		origin = "default"
	}
	fmt.Fprintf(out, "%-40s # %s\n", line, origin)
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
	userinfo    = regexp.MustCompile(`://[^/?#\s]*@`)
	secretQuery = regexp.MustCompile(`(?i)([?&][a-z0-9_.-]*(?:key|secret|password|token)=)[^&\s]+`)
)

// mask hides what a URL or a model's settings may hold that nobody should read
// over a shoulder.
func mask(text string) string {
	text = userinfo.ReplaceAllString(text, "://***@")
	return secretQuery.ReplaceAllString(text, "${1}***")
}
