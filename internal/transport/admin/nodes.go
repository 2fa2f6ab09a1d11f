package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

// The topics of the bus. A node that hears the first says how it stands.
const (
	askTopic  = "runnel.admin.ask"
	tellTopic = "runnel.admin.tell"
)

const (
	// fresh is how long a node counts as one that is there.
	fresh = 5 * time.Second
	// patience is what the first of a series of overviews waits for the others.
	patience = 150 * time.Millisecond
	// maxNodes bounds what is remembered of nodes that come and go.
	maxNodes = 256
)

// A report is how one node stands.
type report struct {
	Node      string                      `json:"node"`
	Time      time.Time                   `json:"time"` // by its clock
	Fragments map[runnel.GenerationID]int `json:"fragments"`
	Figures   json.RawMessage             `json:"figures"`
}

type heard struct {
	report report
	at     time.Time
}

// nodes are those that were heard of late.
type nodes struct {
	mu    sync.Mutex
	heard map[string]heard
	asked time.Time
}

func newNodes() nodes { return nodes{heard: make(map[string]heard)} }

// ask notes that the nodes are being asked. It reports whether that was not done for long.
func (n *nodes) ask(now time.Time) (anew bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	anew = now.Sub(n.asked) > fresh
	n.asked = now
	return anew
}

func (n *nodes) add(r report, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, h := range n.heard {
		if now.Sub(h.at) > fresh {
			delete(n.heard, node)
		}
	}
	if _, known := n.heard[r.Node]; known || len(n.heard) < maxNodes {
		n.heard[r.Node] = heard{r, now}
	}
}

// others returns the reports of all nodes but one.
func (n *nodes) others(but string, now time.Time) (reports []report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, h := range n.heard {
		if node != but && now.Sub(h.at) <= fresh {
			reports = append(reports, h.report)
		}
	}
	return reports
}

// Run answers other nodes, and hears what they say, until ctx is done.
func (h *Handler) Run(ctx context.Context) error {
	err := h.cfg.Bus.Listen(ctx, nil, h.hear)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

func (h *Handler) hear(topic string, data []byte) {
	switch topic {
	case askTopic:
		mine, err := h.report()
		var data []byte
		if err == nil {
			data, err = json.Marshal(mine)
		}
		if err == nil {
			err = h.cfg.Bus.Broadcast(tellTopic, data)
		}
		if err != nil {
			h.log.Warn("cannot say how this node stands", "err", err)
		}
	case tellTopic:
		var r report
		if err := json.Unmarshal(data, &r); err != nil || r.Node == "" {
			h.log.Warn("what another node says cannot be read", "err", err)
			return
		}
		h.nodes.add(r, time.Now())
	}
}

// report says how this node stands.
func (h *Handler) report() (report, error) {
	figures, err := h.cfg.Figures()
	if err != nil {
		return report{}, err
	}
	data, err := json.Marshal(figures)
	return report{Node: h.cfg.Node, Time: time.Now().UTC(), Fragments: h.cfg.Core.Progress(maxGenerations), Figures: data}, err
}
