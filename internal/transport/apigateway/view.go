package apigateway

import (
	"strconv"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/idiom"
	"github.com/runnelhq/runnel/internal/wire"
	"github.com/runnelhq/runnel/internal/wsapi"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// A view shows a generation as the frames of one route. It is used by one
// goroutine at a time.
type view interface {
	// text appends the frames for a fragment of the answer. at is where a reader
	// goes on behind it; zero if another fragment has the same place.
	text(dst []byte, s string, at runnel.Cursor) []byte
	// end appends those for its end, which was not a failure.
	end(dst []byte, ev *runnel.Event) []byte
	// fail appends those that say why there will be no more.
	fail(dst []byte, err error) []byte
}

// newView returns the view of a built-in route for one request.
func (c *connection) newView(route *wsapi.Route, request string, cursor bool) view {
	switch {
	case route.Integration == wsapi.SendText:
		return &textView{c: c, request: request}
	case route.Integration == wsapi.Lex:
		return lexView{}
	case route.Dialect == wsapi.DialectTyped:
		return &typedView{request: request}
	}
	return &tokenView{cursor: cursor}
}

// appendFrame appends the frame of a text whose payload is what f appends.
func appendFrame(dst []byte, f func([]byte) []byte) []byte {
	start := len(dst)
	return wsconn.EndText(f(wsconn.BeginText(dst)), start)
}

// textView sends each fragment as a JSON string, and nothing else: its clients
// take every frame for a string. What fails is said as API Gateway says it.
type textView struct {
	c       *connection
	request string
}

func (v *textView) text(dst []byte, s string, _ runnel.Cursor) []byte {
	start := len(dst)
	return wsconn.EndText(idiom.AppendASCII(wsconn.BeginText(dst), s), start)
}

func (v *textView) end(dst []byte, _ *runnel.Event) []byte { return dst }

func (v *textView) fail(dst []byte, err error) []byte {
	return appendFrame(dst, func(b []byte) []byte { return appendError(b, says(err), v.c.id, v.request) })
}

// tokenView sends {"token","isComplete"}, with Python's spaces.
type tokenView struct {
	cursor bool // the client wants to be able to go on elsewhere
}

func (v *tokenView) text(dst []byte, s string, at runnel.Cursor) []byte {
	start := len(dst)
	return wsconn.EndText(v.body(wsconn.BeginText(dst), s, false, "", at), start)
}

func (v *tokenView) end(dst []byte, ev *runnel.Event) []byte {
	return appendFrame(dst, func(b []byte) []byte { return v.body(b, "", true, "", ev.Cursor) })
}

func (v *tokenView) fail(dst []byte, err error) []byte {
	return appendFrame(dst, func(b []byte) []byte { return v.body(b, "", true, runnel.PublicMessage(err), runnel.Cursor{}) })
}

func (v *tokenView) body(dst []byte, token string, complete bool, failure string, at runnel.Cursor) []byte {
	dst = idiom.AppendToken(dst, token, complete, failure)
	if v.cursor && !at.IsZero() {
		dst = append(dst, `, "cursor": "`...)
		dst = at.Append(dst)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// typedView sends the messages of the sample that was published later.
type typedView struct {
	request  string
	sequence int
}

func (v *typedView) text(dst []byte, s string, _ runnel.Cursor) []byte {
	v.sequence++
	start := len(dst)
	dst = append(wsconn.BeginText(dst), `{"type":"token","token":`...)
	dst = wire.AppendString(dst, s)
	dst = append(dst, `,"sequence":`...)
	dst = append(strconv.AppendInt(dst, int64(v.sequence), 10), '}')
	return wsconn.EndText(dst, start)
}

func (v *typedView) end(dst []byte, ev *runnel.Event) []byte {
	total := v.sequence
	if ev.Usage != nil {
		total = ev.Usage.OutputTokens
	}
	return appendFrame(dst, func(b []byte) []byte {
		b = append(b, `{"type":"complete","total_tokens":`...)
		b = strconv.AppendInt(b, int64(total), 10)
		return append(appendMember(b, "timestamp", v.request), '}')
	})
}

func (v *typedView) fail(dst []byte, err error) []byte {
	return appendFrame(dst, func(b []byte) []byte {
		b = append(b, `{"type":"error"`...)
		b = appendMember(b, "message", runnel.PublicMessage(err))
		return append(appendMember(b, "timestamp", v.request), '}')
	})
}

// lexView sends bare text. Its client shows whatever comes, so failures are left
// to the answer that comes another way; and it holds back the newest frame, so
// there is one of a space behind the last.
type lexView struct{}

func (lexView) text(dst []byte, s string, _ runnel.Cursor) []byte {
	return wsconn.AppendText(dst, []byte(s))
}

func (lexView) end(dst []byte, _ *runnel.Event) []byte { return wsconn.AppendText(dst, []byte(" ")) }

func (lexView) fail(dst []byte, _ error) []byte { return dst }

// says returns the words of an error frame for a failure.
func says(err error) string {
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		return saysBadBody
	case runnel.Unauthenticated, runnel.Denied, runnel.NotFound:
		return saysForbidden
	case runnel.Limited:
		return saysTooMany
	case runnel.Conflict, runnel.Gone, runnel.Unavailable, runnel.Cancelled, runnel.Internal:
	}
	return saysInternal
}

// failureOf returns the failure that ended a generation as an error.
func failureOf(ev *runnel.Event) error {
	f := ev.Failure
	if f == nil {
		return runnel.Errorf(runnel.Internal, "the generation failed")
	}
	kind := runnel.ParseKind(f.Kind)
	if kind == runnel.Internal || kind == runnel.Invalid {
		kind = runnel.Unavailable // not the client's message, and the text is meant for it
	}
	return &runnel.Error{Kind: kind, Msg: f.Message}
}

// show appends the frames of pieces, after which a reader goes on at the given
// place, and reports whether the answer has ended.
func show(v view, dst []byte, pieces []answer.Piece, at runnel.Cursor) (frames []byte, ended bool) {
	var last runnel.Cursor // of the last piece only: who stops before it must get them all again
	for i := range pieces {
		if i == len(pieces)-1 {
			last = at
		}
		switch p := &pieces[i]; {
		case p.End != nil && p.End.Type == runnel.EventFailed:
			return v.fail(dst, failureOf(p.End)), true
		case p.End != nil:
			return v.end(dst, p.End), true
		case p.Text != "":
			dst = v.text(dst, p.Text, last)
		}
	}
	return dst, false
}
