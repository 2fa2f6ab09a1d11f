package obs

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// NewLogger returns a logger on w. The level is debug, info, warn or error; the
// format is text, json, or auto: text where somebody reads along on a
// terminal, JSON otherwise. Empty means info and auto.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	if level != "" {
		var l slog.Level
		if err := l.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("obs: the log level is %q; it must be debug, info, warn or error", level)
		}
		opts.Level = l
	}
	switch format {
	case "", "auto":
		if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
			return slog.New(slog.NewJSONHandler(w, &opts)), nil
		}
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}
	return nil, fmt.Errorf("obs: the log format is %q; it must be auto, text or json", format)
}
