package openai

import (
	"net/http"

	"github.com/runnelhq/runnel/internal/reply"
)

type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (h *Handler) newModel(name string) model {
	return model{ID: name, Object: "model", Created: h.started.Unix(), OwnedBy: "runnel"}
}

func (h *Handler) models(w http.ResponseWriter, _ *http.Request) {
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: []model{}}
	if h.cfg.Models != nil {
		for _, name := range h.cfg.Models() {
			list.Data = append(list.Data, h.newModel(name))
		}
	}
	reply.JSON(w, http.StatusOK, list)
}

func (h *Handler) model(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("model")
	if err := h.checkModel(name); err != nil {
		h.fail(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, h.newModel(name))
}
