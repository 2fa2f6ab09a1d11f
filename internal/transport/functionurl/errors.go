package functionurl

import (
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// modelError returns the failure of a generation, before its first text: it is
// the model's, not the request's, and may pass or not.
func modelError(f *runnel.Failure) error {
	err := reply.ModelError(f)
	code := http.StatusBadGateway
	if kind := runnel.KindOf(err); kind == runnel.Limited || kind == runnel.Unavailable {
		code = http.StatusServiceUnavailable
	}
	return reply.StatusError{Status: code, Err: err}
}

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, reply.Status(err), map[string]string{"error": runnel.PublicMessage(err)})
}

// record logs and counts a failure. It reports false if it is only that the
// client has left.
func (h *Handler) record(w http.ResponseWriter, r *http.Request, err error) bool {
	return reply.Record(w, r, err, h.log, h.cfg.Stream.Failed)
}
