package cli

import (
	"errors"
	"io"
	"strings"
)

// errVoid says that what was printed no longer holds and cannot be taken back.
var errVoid = errors.New("the answer began anew and says something else now; what was printed is void")

// A printer shows an answer as it grows. After a crash of the gateway an answer
// may begin anew. As long as the new text says what was printed already nothing
// is seen of that; where it differs, it is printed once more in full if
// somebody is looking, and is an error if a program is reading.
type printer struct {
	w       io.Writer
	looking bool // w is a terminal
	printed string
}

// show prints what text has beyond what was printed; text is the whole answer
// so far.
func (p *printer) show(text string) error {
	if rest, ok := strings.CutPrefix(text, p.printed); ok {
		p.printed = text
		_, err := io.WriteString(p.w, rest)
		return err
	}
	if strings.HasPrefix(p.printed, text) {
		return nil // it has begun anew and not yet caught up
	}
	return p.anew(text)
}

// end prints what is missing of the finished text, and ends its last line.
func (p *printer) end(text string) error {
	show := p.show
	if len(text) < len(p.printed) {
		show = p.anew // it will not catch up
	}
	if err := show(text); err != nil || text == "" || strings.HasSuffix(text, "\n") {
		return err
	}
	_, err := io.WriteString(p.w, "\n")
	return err
}

func (p *printer) anew(text string) error {
	if !p.looking {
		return errVoid
	}
	p.printed = text
	_, err := io.WriteString(p.w, "\n\n--- the answer begins anew ---\n\n"+text)
	return err
}
