package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	spinEvery = 100 * time.Millisecond
	eraseLine = "\r\x1b[K"
)

// A status tells the user what is going on besides the answer. On a terminal it
// is one line that turns while there is nothing else to see; elsewhere only
// what happens is said, a line each. Its methods are called on one goroutine.
type status struct {
	w        io.Writer
	terminal bool

	stop chan struct{} // closed to end the spinner; nil while there is none
	spun sync.WaitGroup
}

func newStatus(w *os.File) *status {
	return &status{w: w, terminal: term.IsTerminal(int(w.Fd()))}
}

// spin shows that something is awaited, until say or clear.
func (s *status) spin(text string) {
	s.clear()
	if !s.terminal {
		return
	}
	stop := make(chan struct{})
	s.stop = stop
	s.spun.Go(func() {
		ticker := time.NewTicker(spinEvery)
		defer ticker.Stop()
		frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
		for i := 0; ; i++ {
			fmt.Fprintf(s.w, "%s%c %s", eraseLine, frames[i%len(frames)], text)
			select {
			case <-ticker.C:
			case <-stop:
				fmt.Fprint(s.w, eraseLine)
				return
			}
		}
	})
}

// clear ends the spinner.
func (s *status) clear() {
	if s.stop != nil {
		close(s.stop)
		s.stop = nil
		s.spun.Wait()
	}
}

// say tells what has happened.
func (s *status) say(text string) {
	s.clear()
	fmt.Fprintf(s.w, "runnel: %s\n", text)
}
