package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/sse"
)

const (
	// maxPiece bounds what is read of an answer at once.
	maxPiece = 32 << 10
	// streamLinger is for how long a stream goes on without its client.
	streamLinger = 5 * time.Second
)

// stream answers with the frames of InvokeWithResponseStream.
func (a *API) stream(w http.ResponseWriter, r *http.Request, c call) {
	switch c.kind {
	case "", "RequestResponse":
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		f := refusal{http.StatusBadRequest, "InvalidParameterValueException", "the invocation type must be RequestResponse or DryRun", ""}
		f.write(w, nil)
		return
	}
	ctx, cancel := outlives(r.Context(), streamLinger)
	defer cancel()
	resp, err := c.f.Stream(ctx, c.request)
	failure, failed := errors.AsType[*function.Failure](err)
	if err != nil && !failed {
		a.fail(w, r, c, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", eventstream.ContentType)
	h.Set(executedVersion, function.Version)
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := sse.NewWriter(w, a.cfg.WriteTimeout)
	var tail []byte
	if failed {
		tail = failure.Tail(ctx)
	} else {
		defer resp.Body.Close()
		_ = http.NewResponseController(w).Flush() // the head, at once
		err = copyChunks(out, resp.Body)
		tail = resp.Tail(ctx)
	}
	if !c.tail {
		tail = nil
	}
	if err != nil {
		a.cfg.record(r, c.f.Name, c.request.ID, err)
	}
	_, _ = out.Write(eventstream.AppendEvent(nil, "InvokeComplete", complete(err, tail)))
}

// copyChunks sends an answer as chunks until its end. A client that takes
// nothing any more does not end it.
func copyChunks(out io.Writer, body io.Reader) error {
	buf, frame, gone := make([]byte, maxPiece), []byte(nil), false
	for {
		n, err := body.Read(buf)
		if n > 0 && !gone {
			frame = eventstream.Append(frame[:0], buf[:n],
				eventstream.Header{Name: ":event-type", Value: "PayloadChunk"},
				eventstream.Header{Name: ":content-type", Value: "application/octet-stream"},
				eventstream.Header{Name: ":message-type", Value: "event"})
			_, werr := out.Write(frame)
			gone = werr != nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// complete is the payload of the last frame.
func complete(err error, tail []byte) []byte {
	var said struct {
		ErrorCode    string `json:",omitempty"`
		ErrorDetails string `json:",omitempty"`
		LogResult    string `json:",omitempty"`
	}
	if err != nil {
		said.ErrorCode, said.ErrorDetails = "Unhandled", runnel.PublicMessage(err)
		if failure, ok := errors.AsType[*function.Failure](err); ok {
			said.ErrorCode, said.ErrorDetails = failure.Type, string(failure.Payload)
		}
	}
	if len(tail) > 0 {
		said.LogResult = base64.StdEncoding.EncodeToString(tail)
	}
	payload, _ := json.Marshal(said) // strings always encode
	return payload
}
