package modelserver

import (
	"context"
	"net/http"
	"time"
)

// An encoder writes one answer in one protocol. Its methods append to dst.
type encoder interface {
	contentType() string
	start(dst []byte) []byte                     // what comes before the first token
	token(dst []byte, text []byte) []byte        // one token
	end(dst []byte, e end) []byte                // what comes after the last token
	fail(dst []byte, name string) []byte         // the in-stream error; name may be empty
	garbage(dst []byte) []byte                   // a frame that cannot be decoded
	whole(dst []byte, text string, e end) []byte // the answer in one piece
}

// An end is how an answer ended.
type end struct {
	limited       bool // by the request's own maximum
	input, output int  // tokens
}

// A stream is one answer on its way out.
type stream struct {
	server  *Server
	w       http.ResponseWriter
	flusher *http.ResponseController
	enc     encoder
	options *Options
	pacer   *pacer
	seed    uint64
	skip    int    // tokens that the request gave
	rest    string // what it did not give of the last of them
	end     end

	frame []byte // what is written next
	text  []byte // of the token that is encoded
	sent  int    // tokens
}

func newStream(s *Server, w http.ResponseWriter, q question, enc encoder, o *Options, start time.Time) *stream {
	seed := hash(q.text)
	st := &stream{
		server: s, w: w, flusher: http.NewResponseController(w),
		enc: enc, options: o, pacer: newPacer(start, o, seed), seed: seed,
		end:   end{input: q.words, output: o.Tokens},
		frame: make([]byte, 0, 512),
	}
	if q.beginning != "" {
		st.skip, st.rest = skipped(seed, o.Tokens, q.beginning)
		if st.end.output -= st.skip; st.rest != "" {
			st.skip--
			st.end.output++
		}
	}
	if q.maxTokens > 0 && q.maxTokens < st.end.output {
		st.end.limited, st.end.output = true, q.maxTokens
	}
	return st
}

// run writes the answer token by token, with the fault that is asked for. The
// context is the request's: done when the client goes away.
func (s *stream) run(ctx context.Context) {
	s.server.stats.opened()
	defer s.server.stats.closed()
	s.w.Header().Set("Content-Type", s.enc.contentType())
	s.w.Header().Set("Cache-Control", "no-cache")
	s.frame = s.enc.start(s.frame)
	for ; s.sent < s.end.output; s.sent++ {
		if !s.pacer.wait(ctx, s.sent) {
			s.aborted()
			return
		}
		if s.faultDue() && s.fault(ctx) {
			return
		}
		s.appendToken()
		if !s.flush() {
			s.aborted()
			return
		}
		s.server.stats.tokens.Add(1)
	}
	if s.faultDue() && s.fault(ctx) {
		return
	}
	s.frame = s.enc.end(s.frame, s.end)
	if !s.flush() {
		s.aborted()
		return
	}
	s.server.stats.completed.Add(1)
}

// whole writes the answer in one piece when its last token would be due.
func (s *stream) whole(ctx context.Context) {
	s.server.stats.opened()
	defer s.server.stats.closed()
	if !s.pacer.wait(ctx, max(0, s.end.output-1)) {
		s.aborted()
		return
	}
	var text []byte
	for ; s.sent < s.end.output; s.sent++ {
		text = append(text, s.next()...)
	}
	s.w.Header().Set("Content-Type", "application/json")
	s.frame = s.enc.whole(s.frame, string(text), s.end)
	if _, err := s.w.Write(s.frame); err != nil {
		s.aborted()
		return
	}
	s.server.stats.tokens.Add(int64(s.sent))
	s.server.stats.completed.Add(1)
}

// next returns the next token.
func (s *stream) next() string {
	if s.sent == 0 && s.rest != "" {
		return s.rest
	}
	return token(s.seed, s.skip+s.sent)
}

// appendToken appends the next token's frame to what is written next.
func (s *stream) appendToken() {
	s.text = s.text[:0]
	if s.options.Stamp {
		s.text = appendStamp(s.text, time.Now())
	}
	s.text = append(s.text, s.next()...)
	s.frame = s.enc.token(s.frame, s.text)
}

// flush sends what is to be written next. It reports false if nobody is there.
//
// There is no write deadline: a client that does not read holds its model up,
// and a test of slow readers wants to see just that.
func (s *stream) flush() bool {
	if _, err := s.w.Write(s.frame); err != nil {
		return false
	}
	s.frame = s.frame[:0]
	return s.flusher.Flush() == nil
}

func (s *stream) aborted() { s.server.stats.abort(s.options.Tag, s.sent) }

func (s *stream) faultDue() bool {
	f := &s.options.Fault
	return f.Stream != "" && f.After == s.sent
}

// fault does what is to happen now. It reports whether that ended the stream.
func (s *stream) fault(ctx context.Context) (ended bool) {
	f := &s.options.Fault
	if f.Stream == Garbage {
		s.frame = s.enc.garbage(s.frame)
		return false
	}
	s.server.stats.faulted.Add(1)
	switch {
	case f.Stream == Fail:
		s.frame = s.enc.fail(s.frame, f.Error)
	case f.Inside:
		before := len(s.frame)
		s.appendToken()
		s.frame = s.frame[:before+(len(s.frame)-before)/2]
	}
	if len(s.frame) > 0 && !s.flush() {
		s.aborted()
		return true
	}
	switch f.Stream {
	case Cut:
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	case Stall:
		<-ctx.Done()
		s.aborted()
	default: // to return is to end the response
	}
	return true
}
