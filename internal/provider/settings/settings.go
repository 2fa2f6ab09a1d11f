package settings

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// A Reader takes the settings of one model apart. Each typed method names a
// setting that the provider knows and stores its value, if there is one, in
// dst. [Reader.Done] then reports what was wrong.
type Reader struct {
	provider string
	values   url.Values
	known    []string
	err      error // the first malformed value
}

// Read begins to read values for a provider.
func Read(provider string, values url.Values) *Reader {
	return &Reader{provider: provider, values: values}
}

// String stores a setting of any text but the empty one.
func (r *Reader) String(name string, dst *string) {
	read(r, name, dst, "text", func(s string) (string, bool) { return s, s != "" })
}

// Bool stores a setting that is 1, true, 0 or false.
func (r *Reader) Bool(name string, dst *bool) {
	read(r, name, dst, "true or false", func(s string) (bool, bool) {
		b, err := strconv.ParseBool(s)
		return b, err == nil
	})
}

// Count stores a setting that is a whole number, not negative.
func (r *Reader) Count(name string, dst *int) {
	read(r, name, dst, "a whole number such as 200", func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= 0
	})
}

// Rate stores a setting that is a number, not negative.
func (r *Reader) Rate(name string, dst *float64) {
	read(r, name, dst, "a number such as 40", func(s string) (float64, bool) {
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && f >= 0 && f <= 1e9
	})
}

// Duration stores a setting that is a duration, not negative.
func (r *Reader) Duration(name string, dst *time.Duration) {
	read(r, name, dst, "a duration such as 100ms", func(s string) (time.Duration, bool) {
		d, err := time.ParseDuration(s)
		return d, err == nil && d >= 0
	})
}

// Func stores a setting that parse understands; want says what that is.
func (r *Reader) Func(name, want string, parse func(string) bool) {
	var ok bool
	read(r, name, &ok, want, func(s string) (bool, bool) { return true, parse(s) })
}

// Done returns an Invalid error for the first setting that is malformed or
// that no method named, and nil if there is none.
func (r *Reader) Done() error {
	if r.err != nil {
		return r.err
	}
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		if !slices.Contains(r.known, name) {
			return runnel.Errorf(runnel.Invalid, "%s has no setting %.40q; it knows %s", r.provider, name, r.names())
		}
	}
	return nil
}

func (r *Reader) names() string {
	if len(r.known) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(r.known)), ", ")
}

func read[T any](r *Reader, name string, dst *T, want string, parse func(string) (T, bool)) {
	r.known = append(r.known, name)
	given := r.values[name]
	if len(given) == 0 || r.err != nil {
		return
	}
	value, ok := parse(given[0])
	if !ok || len(given) > 1 {
		r.err = runnel.Errorf(runnel.Invalid, "%s: the setting %s must be %s, given once", r.provider, name, want)
		return
	}
	*dst = value
}
