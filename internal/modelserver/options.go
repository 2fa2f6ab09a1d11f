package modelserver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DefaultTokens is the length of an answer for which nobody set one.
const DefaultTokens = 64

// maxTokens bounds what one request may ask for.
const maxTokens = 10_000_000

// Options say how a [Server] answers. The zero value answers at once, with
// [DefaultTokens] tokens and without a fault.
type Options struct {
	TTFT   time.Duration // from the request's arrival to the first token
	TPS    float64       // tokens per second after the first; zero: all at once
	Jitter time.Duration // each token is late by a part of this, the same at each run
	Tokens int           // length of an answer; zero for a server: DefaultTokens
	Stamp  bool          // prefix each token with the time, for Unstamp
	Tag    string        // names a request in Stats
	Fault  Fault
}

// A Fault says what goes wrong. The zero value is no fault.
type Fault struct {
	Status     int           // HTTP status of the answer; zero: 200
	RetryAfter time.Duration // header that goes with Status
	FailFirst  int           // only this many requests with the same question fail; zero: all
	Stream     StreamFault   // what happens to a stream
	After      int           // after how many tokens it happens
	Inside     bool          // halfway through a frame, for Cut, End and Stall
	Error      string        // name of the error; empty: one that fits
}

// A StreamFault is something that happens in the middle of a stream.
type StreamFault string

// What can happen to a stream.
const (
	Cut     StreamFault = "cut"     // the connection breaks
	End     StreamFault = "end"     // the response ends without a terminal event
	Stall   StreamFault = "stall"   // nothing more comes
	Fail    StreamFault = "error"   // the protocol's in-stream error
	Garbage StreamFault = "garbage" // a frame that cannot be decoded, then the rest
)

// Set changes o by settings in the form that the package comment describes:
// names and values separated by spaces. It stops at the first that it does not
// understand.
func (o *Options) Set(settings string) error {
	for field := range strings.FieldsSeq(settings) {
		name, value, _ := strings.Cut(field, "=")
		ok, err := o.set(name, value)
		if !ok {
			return fmt.Errorf("modelserver: no setting is called %q; see the package's documentation", name)
		}
		if err != nil {
			return fmt.Errorf("modelserver: setting %s: %w", field, err)
		}
	}
	return nil
}

// set changes one setting; it reports false for a name that it does not know.
func (o *Options) set(name, value string) (ok bool, err error) {
	switch name {
	case "tokens":
		o.Tokens, err = parseCount(value)
	case "ttft":
		o.TTFT, err = parseDelay(value)
	case "jitter":
		o.Jitter, err = parseDelay(value)
	case "tps":
		o.TPS, err = parseRate(value)
	case "stamp":
		o.Stamp, err = strconv.ParseBool(value)
	case "tag":
		o.Tag = value
	default:
		return o.Fault.set(name, value)
	}
	return true, err
}

func (f *Fault) set(name, value string) (ok bool, err error) {
	switch name {
	case "status":
		f.Status, err = parseStatus(value)
	case "retry-after":
		f.RetryAfter, err = parseDelay(value)
	case "fail-first":
		f.FailFirst, err = parseCount(value)
	case "inside":
		f.Inside, err = strconv.ParseBool(value)
	case "error":
		f.Error = value
	case "cut-after", "end-after", "stall-after", "error-after", "garbage-after":
		f.Stream = StreamFault(strings.TrimSuffix(name, "-after"))
		f.After, err = parseCount(value)
	default:
		return false, nil
	}
	return true, err
}

// setMarkers applies every marker in text to o.
func (o *Options) setMarkers(text string) error {
	for {
		_, rest, found := strings.Cut(text, "[[")
		inner, after, closed := strings.Cut(rest, "]]")
		if !found || !closed {
			return nil
		}
		text = after
		if settings, ok := marker(inner); ok {
			if err := o.Set(settings); err != nil {
				return err
			}
		}
	}
}

// marker returns the settings between a pair of brackets; false if it holds
// anything else, as brackets in ordinary text do.
func marker(inner string) (settings string, ok bool) {
	settings = strings.TrimPrefix(strings.TrimSpace(inner), "fault:")
	fields := strings.Fields(settings)
	for _, f := range fields {
		if name, _, ok := strings.Cut(f, "="); !ok || name == "" {
			return "", false
		}
	}
	return settings, len(fields) > 0
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (n < 0 || n > maxTokens) {
		err = fmt.Errorf("not between 0 and %d", maxTokens)
	}
	return n, err
}

func parseStatus(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (n < 400 || n > 599) {
		err = errors.New("not between 400 and 599")
	}
	return n, err
}

// parseDelay reads a duration, or a number of seconds.
func parseDelay(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if sec, ferr := parseRate(s); ferr == nil && sec < 1e6 {
			return time.Duration(sec * float64(time.Second)), nil
		}
		return 0, err
	}
	if d < 0 {
		return 0, errors.New("negative")
	}
	return d, nil
}

func parseRate(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && !(f >= 0 && f <= 1e9) { // not NaN either
		err = errors.New("not between 0 and 1e9")
	}
	return f, err
}
