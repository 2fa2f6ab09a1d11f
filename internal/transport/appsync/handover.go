package appsync

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
)

// movedTopic is that of subscriptions which a node has taken up.
const movedTopic = "graphql/moved"

const (
	// maxHandover bounds the text in a note: the answer in flight as far as it was
	// sent. Of longer ones only this node knows how far.
	maxHandover = 32 << 10
	// handoverTimeout is how long a subscription waits for notes.
	handoverTimeout = 2 * time.Second
)

// A handedOver is the place of a subscription that has ended, as a note to the node
// at which its client comes back. There is none while it lives, so that a crash
// leaves none behind that is too old.
type handedOver struct {
	After      runnel.Cursor         `json:"after"`
	Generation runnel.GenerationID   `json:"generation,omitempty"`
	Attempt    int                   `json:"attempt,omitempty"`
	Begun      bool                  `json:"begun,omitempty"`
	Outside    bool                  `json:"outside,omitempty"`
	Spoke      bool                  `json:"spoke,omitempty"`
	Sent       []byte                `json:"sent,omitempty"`
	Again      int                   `json:"again,omitempty"` // how much of what was sent has been said again
	Back       *runnel.Cursor        `json:"back,omitempty"`
	Over       []runnel.GenerationID `json:"over,omitempty"`
	Locale     string                `json:"locale,omitempty"` // of the session
}

// A moved says that a node has taken up a subscription: what the others remember of
// it is old.
type moved struct {
	Node string `json:"node"`
	Key  string `json:"key"`
}

// handOver notes the place of a subscription that has ended.
func (h *Handler) handOver(k *keeper, session runnel.SessionID, stopped bool) {
	at, ok := h.places.end(k, stopped, h.now())
	if !ok {
		return
	}
	defer close(k.noted)
	if h.cfg.Notes == nil || at.text.Len() > maxHandover {
		return
	}
	sent, again := at.text.State()
	note := encode(handedOver{
		After: at.after, Generation: at.generation, Attempt: at.attempt, Begun: at.begun, Outside: at.outside, Spoke: at.spoke,
		Sent: sent, Again: again, Back: at.back, Over: at.over, Locale: h.recent.locale(session),
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.life), handoverTimeout)
	defer cancel()
	err := h.cfg.Notes.Note(ctx, noteKey(k.key), note)
	if err == nil && h.places.forgotten(k) { // it was taken up meanwhile, without the note
		err = h.cfg.Notes.Note(ctx, noteKey(k.key), nil)
	}
	if err != nil {
		h.log.Debug("a subscription cannot go on at another node", "session_id", session, "err", err)
	}
}

// withdraw takes back what was noted of a subscription that goes on at this node.
func (h *Handler) withdraw(ctx context.Context, k *keeper) {
	select {
	case <-k.noted:
	default: // there is no note, or it takes itself back
		return
	}
	if h.cfg.Notes == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handoverTimeout)
	defer cancel()
	if err := h.cfg.Notes.Note(ctx, noteKey(k.key), nil); err != nil {
		h.log.Debug("an old note of a subscription stays", "err", err)
	}
}

// takeUp returns where a subscription goes on that this node does not remember.
func (h *Handler) takeUp(ctx context.Context, key string, session runnel.SessionID) (at place, known bool) {
	if h.cfg.Notes == nil {
		return at, false
	}
	ctx, cancel := context.WithTimeout(ctx, handoverTimeout)
	defer cancel()
	// First this: what another node notes from now on is withdrawn.
	if err := h.cfg.Bus.Broadcast(movedTopic, encode(moved{h.node, key})); err != nil {
		h.log.Debug("other nodes do not know that a subscription has moved", "session_id", session, "err", err)
	}
	data, err := h.cfg.Notes.Noted(ctx, noteKey(key))
	if err == nil && data != nil {
		err = h.cfg.Notes.Note(ctx, noteKey(key), nil)
	}
	if err != nil || data == nil {
		if err != nil {
			h.log.Debug("a subscription begins anew: nobody knows where it was", "session_id", session, "err", err)
		}
		return at, false
	}
	var note handedOver
	if err := json.Unmarshal(data, &note); err != nil {
		h.failed(ctx, err, "session_id", session)
		return at, false
	}
	if note.Locale != "" && h.recent.locale(session) == "" {
		h.recent.speaks(session, note.Locale)
	}
	return place{
		after: note.After, generation: note.Generation, attempt: note.Attempt, begun: note.Begun, outside: note.Outside, spoke: note.Spoke,
		text: answer.NewTrack(note.Sent, note.Again), back: note.Back, over: note.Over,
	}, true
}

func noteKey(key string) string { return "graphql\x00" + key }

// hearMoved forgets a subscription that another node has taken up.
func (h *Handler) hearMoved(data []byte) {
	var said moved
	if err := json.Unmarshal(data, &said); err != nil {
		h.failed(h.life, err, "topic", movedTopic)
		return
	}
	if said.Node != h.node {
		h.places.drop(said.Key)
	}
}
