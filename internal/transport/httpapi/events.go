package httpapi

import (
	"context"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/sse"
)

// firstWait is how long a stream's head may wait for its first events. A reader
// behind the end of the log has them, or its refusal, much sooner.
const firstWait = 250 * time.Millisecond

func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	src, err := h.source(r)
	switch {
	case err == nil:
		h.viewers.Serve(w, r, src)
	case runnel.KindOf(err) == runnel.Unavailable && wantsStream(r.Header):
		// An EventSource gives up for good on any status but 200. This passes.
		h.viewers.Postpone(w, r, err)
	default:
		h.fail(w, r, err)
	}
}

// source finds the reader's place. Whatever speaks against reading there shows
// now, while it can still be told by a status.
func (h *Handler) source(r *http.Request) (src sse.Source, err error) {
	if src.Session, err = sessionID(r); err != nil {
		return src, err
	}
	place := r.Header.Get("Last-Event-ID")
	if place == "" {
		place = r.URL.Query().Get("after")
	}
	latest := place == "latest"
	if !latest {
		if src.After, err = runnel.ParseCursor(place); err != nil {
			return src, err
		}
	}
	end, err := h.sessions.End(r.Context(), src.Session)
	switch {
	case err != nil:
		return src, err
	case latest:
		src.After = end
	case src.After.IsZero() || src.After == end:
		// Neither can be past retention, and there may be nothing to wait for.
	default:
		err = h.readFirst(r.Context(), &src)
	}
	return src, err
}

// readFirst reads what follows the reader's place, if it is there already.
func (h *Handler) readFirst(ctx context.Context, src *sse.Source) (err error) {
	wait, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	src.First, err = h.sessions.Read(wait, src.Session, src.After)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil // nothing yet
	}
	return err
}

// wantsStream reports whether a submission asks for the answer itself. Clients
// that accept both get what they name first.
func wantsStream(h http.Header) bool {
	for accepted := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		media, params, err := mime.ParseMediaType(accepted)
		if err != nil || params["q"] == "0" {
			continue
		}
		switch media {
		case "text/event-stream":
			return true
		case "application/json", "application/*", "*/*":
			return false
		}
	}
	return false
}
