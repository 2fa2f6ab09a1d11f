package httpapi

import (
	"net/http"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// WriteError answers a request with a failure.
func WriteError(w http.ResponseWriter, err error) {
	type failure struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	reply.RetryAfter(w.Header(), err)
	reply.JSON(w, reply.Status(err), map[string]failure{
		"error": {Kind: runnel.KindOf(err).String(), Message: runnel.PublicMessage(err)},
	})
}

// fail answers a request with a failure and records it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if reply.Record(w, r, err, h.log, h.cfg.Stream.Failed) {
		WriteError(w, err)
	}
}
