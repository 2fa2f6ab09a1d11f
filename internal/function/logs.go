package function

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxLine = 2 << 10 // bytes of a line in our log
	// A process may say so much, and more in a burst; the rest is counted. The
	// end of an invocation's log is kept all the same.
	linesPerSecond = 50
	lineBurst      = 500
)

// logs is what one process writes to its standard output and error. Both lead to
// one pipe, of which we keep the writing end: a mark that we write there comes
// out exactly behind what the process wrote before it.
type logs struct {
	log   *slog.Logger
	w     *os.File
	r     *os.File
	nonce []byte        // begins no line of the process: it cannot know it
	ended chan struct{} // closed when all is read

	order sync.Mutex // held while a mark is written, for longer than mu may be

	mu    sync.Mutex
	marks []func() // one for each mark in the pipe
	open  bool

	// Owned by the goroutine of read.
	request string // whose lines these are
	tail    []byte
	limit   *rate.Limiter
	dropped int
	told    time.Time // when we last said how many were
}

func newLogs(log *slog.Logger) (*logs, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	l := &logs{log: log, r: r, w: w, open: true, ended: make(chan struct{}), limit: rate.NewLimiter(linesPerSecond, lineBurst)}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	l.nonce = []byte("\x00" + hex.EncodeToString(nonce[:]) + "\n")
	return l, nil
}

// begin says that what follows is of a request.
func (l *logs) begin(request string) {
	l.mark(func() { l.request, l.tail = request, nil })
}

// end returns a channel that gets the end of the present request's log when all
// of it has been read.
func (l *logs) end() <-chan []byte {
	tail := make(chan []byte, 1)
	l.mark(func() {
		tail <- bytes.Clone(lastBytes(l.tail, maxTail))
		l.request, l.tail = "", nil
	})
	return tail
}

// mark has f called by the reading goroutine at this place of the log.
func (l *logs) mark(f func()) {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	open := l.open
	if open {
		l.marks = append(l.marks, f)
	}
	l.mu.Unlock()
	if open {
		_, _ = l.w.Write(l.nonce) // a pipe takes so little at once or not at all
		return
	}
	<-l.ended // the reader has all there will be
	f()
}

// close says that the process has ended.
func (l *logs) close() {
	l.order.Lock()
	l.mu.Lock()
	l.open = false
	l.mu.Unlock()
	_ = l.w.Close()
	l.order.Unlock()
	// Its children may hold the pipe open. What they say does not count any more.
	if err := l.r.SetReadDeadline(time.Now().Add(time.Second)); err != nil { // there are none on Windows
		_ = l.r.Close()
	}
	<-l.ended
}

// read reads until the end of the log.
func (l *logs) read() {
	defer close(l.ended)
	defer l.r.Close()
	buf := make([]byte, 32<<10)
	for n := 0; ; {
		m, err := l.r.Read(buf[n:])
		rest := buf[:n+m]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			l.line(rest[:i+1])
			rest = rest[i+1:]
		}
		if len(rest) == len(buf) { // a line without end; its last bytes may be half a mark
			keep := len(rest) - len(l.nonce)
			l.say(rest[:keep])
			rest = rest[keep:]
		}
		n = copy(buf, rest)
		if err != nil {
			l.say(buf[:n])
			l.mu.Lock()
			l.open = false
			left := l.marks
			l.marks = nil
			l.mu.Unlock()
			for _, f := range left {
				f()
			}
			l.report()
			return
		}
	}
}

// line takes one line, which may end in a mark.
func (l *logs) line(line []byte) {
	text, marked := bytes.CutSuffix(line, l.nonce)
	if !marked {
		l.say(line)
		return
	}
	l.say(text)
	l.mu.Lock()
	f := l.marks[0]
	l.marks = l.marks[1:]
	l.mu.Unlock()
	f()
}

// say keeps what the process says for whoever asks for the log's end, and
// passes it on to our log.
func (l *logs) say(text []byte) {
	if len(text) == 0 {
		return
	}
	if l.tail = append(l.tail, lastBytes(text, maxTail)...); len(l.tail) > 4*maxTail {
		l.tail = append(l.tail[:0], lastBytes(l.tail, maxTail)...)
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return
	}
	if !l.limit.Allow() {
		l.dropped++
		return
	}
	if time.Since(l.told) > time.Second { // or there would be as much to say as there is said
		l.report()
	}
	attrs := []any{"line", string(text[:min(len(text), maxLine)])}
	if l.request != "" {
		attrs = append(attrs, "request_id", l.request)
	}
	l.log.Info("function log", attrs...)
}

// report says how much was not logged.
func (l *logs) report() {
	if l.dropped > 0 {
		l.log.Warn("the function logs too much", "lines_dropped", l.dropped)
		l.dropped, l.told = 0, time.Now()
	}
}

func lastBytes(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
