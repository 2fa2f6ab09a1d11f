package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// converse reads prompts from a terminal and prints answers until the user
// leaves.
func converse(t *talk, std IO) error {
	lines := newLineReader(std.In, std.Err)
	fmt.Fprintf(std.Err, "Session %s. Ctrl-C stops an answer, Ctrl-D leaves.\n", t.session)
	for {
		text, err := lines.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		switch err := t.ask(text); {
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(std.Err, "\n[stopped]")
		case err != nil:
			// The conversation outlives a prompt that went wrong.
			fmt.Fprintf(std.Err, "runnel: %s\n", publicError(err))
		}
	}
}

// A lineReader reads lines from a terminal, with editing and a history. The
// terminal is raw only while a line is read, so that otherwise Ctrl-C is a
// signal.
type lineReader struct {
	in    *os.File
	keys  keys
	lines *term.Terminal
}

func newLineReader(in, out *os.File) *lineReader {
	r := &lineReader{in: in, keys: keys{in: in}}
	r.lines = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&r.keys, out}, "> ")
	return r
}

// read returns the next line. The error is io.EOF for Ctrl-D, and
// errInterrupted for Ctrl-C.
func (r *lineReader) read() (string, error) {
	fd := int(r.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("set up the terminal: %w", err)
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = r.lines.SetSize(width, height) // fails only if it cannot redraw
	}
	r.keys.interrupted = false
	line, err := r.lines.ReadLine()
	if restoreErr := term.Restore(fd, before); err == nil {
		err = restoreErr
	}
	if r.keys.interrupted {
		err = errInterrupted
	}
	if err != nil {
		fmt.Fprintln(r.out())
	}
	return line, err
}

func (r *lineReader) out() io.Writer { return r.lines }

// keys notices Ctrl-C, which package term reports like Ctrl-D.
type keys struct {
	in          io.Reader
	interrupted bool
}

func (k *keys) Read(p []byte) (int, error) {
	const ctrlC = 3
	n, err := k.in.Read(p)
	k.interrupted = k.interrupted || bytes.IndexByte(p[:n], ctrlC) >= 0
	return n, err
}
