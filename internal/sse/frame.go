package sse

import (
	"net/http"
	"strconv"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wire"
)

// ContentType is the media type of an event stream.
const ContentType = "text/event-stream; charset=utf-8"

// SetHeader sets the header of a response that is an event stream. The last
// two fields keep proxies from compressing the stream or collecting it.
func SetHeader(h http.Header) {
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// AppendEvent appends the frame of an event: its cursor as the id, unless it
// has none, its type, and its body, which is one line.
func AppendEvent(dst []byte, ev *runnel.Event) []byte {
	if !ev.Cursor.IsZero() {
		dst = append(dst, "id: "...)
		dst = ev.Cursor.Append(dst)
		dst = append(dst, '\n')
	}
	dst = append(dst, "event: "...)
	dst = append(dst, ev.Type...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, ev.Body...)
	return append(dst, '\n', '\n')
}

// AppendError appends the frame that tells a client why its stream ends.
func AppendError(dst []byte, err error) []byte {
	dst = append(dst, "event: error\ndata: {\"kind\":"...)
	dst = wire.AppendString(dst, runnel.KindOf(err).String())
	dst = append(dst, `,"message":`...)
	dst = wire.AppendString(dst, runnel.PublicMessage(err))
	return append(dst, "}\n\n"...)
}

// AppendRetry appends how long the client shall wait before it reconnects.
func AppendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, wait.Milliseconds(), 10)
	return append(dst, '\n', '\n')
}
