package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// An overview is what all nodes do.
type overview struct {
	Node        string       `json:"node"` // that answers
	Time        time.Time    `json:"time"`
	QueueDepth  int          `json:"queue_depth"`
	Generations []generation `json:"generations"`
	// More is true if there are more generations than are listed.
	More  bool   `json:"more"`
	Nodes []node `json:"nodes"`
}

// A generation is one that has not ended.
type generation struct {
	ID         runnel.GenerationID `json:"generation"`
	Session    runnel.SessionID    `json:"session"`
	State      runnel.State        `json:"state"`
	Attempt    int                 `json:"attempt"`
	Model      string              `json:"model,omitempty"`
	Node       string              `json:"node,omitempty"`
	Fragments  int                 `json:"fragments"` // of its present attempt
	AcceptedAt time.Time           `json:"accepted_at,omitzero"`
	StartedAt  time.Time           `json:"started_at,omitzero"`
	Cancelling bool                `json:"cancelling,omitempty"`
}

// A node is one that was heard of late.
type node struct {
	Node    string          `json:"node"`
	Time    time.Time       `json:"time"`
	Figures json.RawMessage `json:"figures"`
}

func (h *Handler) overview(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := h.cfg.Bus.Broadcast(askTopic, nil); err != nil {
		return fmt.Errorf("admin: ask the nodes: %w", err)
	}
	if h.nodes.ask(time.Now()) {
		select {
		case <-time.After(patience):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // nobody is left to read it
		}
	}
	mine, err := h.report()
	if err != nil {
		return fmt.Errorf("admin: figures: %w", err)
	}
	depth, err := h.cfg.Depth(ctx)
	if err != nil {
		return fmt.Errorf("admin: queue depth: %w", err)
	}
	live, err := h.cfg.Core.Live(ctx, maxGenerations+1)
	if err != nil {
		return fmt.Errorf("admin: live generations: %w", err)
	}
	reports := append(h.nodes.others(h.cfg.Node, time.Now()), mine)
	slices.SortFunc(reports, func(a, b report) int { return cmp.Compare(a.Node, b.Node) })
	reply.JSON(w, http.StatusOK, h.put(depth, live, reports))
	return nil
}

// put puts together what the parts say.
func (h *Handler) put(depth int, live []runnel.Run, reports []report) overview {
	o := overview{
		Node: h.cfg.Node, Time: time.Now().UTC(), QueueDepth: depth, More: len(live) > maxGenerations,
		Generations: []generation{}, Nodes: []node{},
	}
	fragments := make(map[runnel.GenerationID]int)
	for _, r := range reports {
		o.Nodes = append(o.Nodes, node{r.Node, r.Time, r.Figures})
		for gen, n := range r.Fragments {
			fragments[gen] = max(n, fragments[gen]) // a node that was replaced has fewer, as a rule
		}
	}
	for _, run := range live[:min(len(live), maxGenerations)] {
		o.Generations = append(o.Generations, generation{
			ID: run.Generation, Session: run.Session, State: run.State, Attempt: run.Attempt, Model: run.Model, Node: run.Owner,
			Fragments: fragments[run.Generation], AcceptedAt: run.Accepted, StartedAt: run.Started, Cancelling: run.Cancel,
		})
	}
	return o
}
