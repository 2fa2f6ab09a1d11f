package awsfn

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
)

// Settings reads a function's environment and remembers what is wrong with it.
type Settings struct{ errs []error }

// Text returns the variable's value, or def if it is empty.
func (s *Settings) Text(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

// Required returns the value of a variable that must be there.
func (s *Settings) Required(name string) string {
	v := os.Getenv(name)
	if v == "" {
		s.errs = append(s.errs, fmt.Errorf("the variable %s is missing", name))
	}
	return v
}

// List returns what stands between the commas.
func (s *Settings) List(name string) (list []string) {
	for v := range strings.SplitSeq(os.Getenv(name), ",") {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

// Count returns a number that is not negative.
func (s *Settings) Count(name string, def int) int {
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		s.errs = append(s.errs, fmt.Errorf("%s is %q and must be a number", name, v))
	}
	return n
}

// Duration returns a time span that is not negative, such as 150ms.
func (s *Settings) Duration(name string, def time.Duration) time.Duration {
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		s.errs = append(s.errs, fmt.Errorf("%s is %q and must be a time span, such as 150ms", name, v))
	}
	return d
}

// Bool returns whether the variable is true.
func (s *Settings) Bool(name string) bool {
	v := os.Getenv(name)
	b, err := strconv.ParseBool(v)
	if err != nil && v != "" {
		s.errs = append(s.errs, fmt.Errorf("%s is %q and must be true or false", name, v))
	}
	return b
}

// Err returns what is wrong, and nil if nothing is.
func (s *Settings) Err() error { return errors.Join(s.errs...) }

// NewLogger returns the log of a function: JSON, in lines that CloudWatch keeps.
func NewLogger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil))
}
