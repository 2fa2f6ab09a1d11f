package cli

import "io"

// Printer opens [printer] to its test.
type Printer struct{ p printer }

// NewPrinter returns a printer.
func NewPrinter(w io.Writer, looking bool) *Printer {
	return &Printer{printer{w: w, looking: looking}}
}

// Show and End are those of [printer].
func (p *Printer) Show(text string) error { return p.p.show(text) }
func (p *Printer) End(text string) error  { return p.p.end(text) }

// ErrVoid is errVoid.
var ErrVoid = errVoid
