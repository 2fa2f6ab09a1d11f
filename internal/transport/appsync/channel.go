package appsync

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/reply"
	"github.com/runnelhq/runnel/internal/wire"
)

const (
	maxSegments = 5
	maxEvents   = 5 // in one publish
)

// A channel is where events are published: a namespace and what is below it.
type channel struct {
	path  string // without slashes at its ends
	space *gqlapi.Namespace
	rest  string // behind the namespace
	wild  bool   // all channels that begin with path
}

// channel reads a channel's name.
func (h *Handler) channel(name string) (c channel, err error) {
	c.path = strings.Trim(name, "/")
	segments := strings.Split(c.path, "/")
	if n := len(segments) - 1; n > 0 && segments[n] == "*" {
		c.wild = true
		segments = segments[:n]
		c.path = strings.Join(segments, "/")
	}
	if len(segments) > maxSegments || slices.ContainsFunc(segments, func(s string) bool { return !gqlapi.ValidSegment(s) }) {
		return c, runnel.Errorf(runnel.Invalid, "the channel is malformed: it has 1 to %d segments of letters, digits and hyphens", maxSegments)
	}
	if c.space = h.names[segments[0]]; c.space == nil {
		return c, runnel.Errorf(runnel.Invalid, "there is no channel namespace %q", segments[0])
	}
	c.rest = strings.Join(segments[1:], "/")
	if c.space.Sessions && (len(segments) != 2 || c.wild) {
		return c, runnel.Errorf(runnel.Invalid, "a channel of this namespace is /%s/SESSION", c.space.Name)
	}
	return c, nil
}

// allow reports whether a caller's mode is one of those that may.
func allow(p *runnel.Principal, modes []string) error {
	if mode := string(modeOf(p)); p.Scheme != "" && len(modes) > 0 && !slices.Contains(modes, mode) {
		return runnel.Errorf(runnel.Unauthenticated, messageUnauthorized)
	}
	return nil
}

// A publish is events on their way into a channel.
type publish struct {
	Channel string   `json:"channel"`
	Events  []string `json:"events"`
}

// A result says what became of the events.
type result struct {
	Failed     []delivered `json:"failed"`
	Successful []delivered `json:"successful"`
}

type delivered struct {
	Identifier string `json:"identifier"`
	Index      int    `json:"index"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
}

// publish publishes for a caller.
func (h *Handler) publish(ctx context.Context, p *runnel.Principal, in publish) (result, error) {
	c, err := h.channel(in.Channel)
	if err != nil {
		return result{}, err
	}
	switch {
	case c.wild:
		return result{}, runnel.Errorf(runnel.Invalid, "events cannot be published to a wildcard channel")
	case len(in.Events) == 0 || len(in.Events) > maxEvents:
		return result{}, runnel.Errorf(runnel.Invalid, "there must be 1 to %d events", maxEvents)
	}
	if err := allow(p, c.space.Publish); err != nil {
		return result{}, err
	}
	res := result{Failed: []delivered{}, Successful: []delivered{}}
	for i, ev := range in.Events {
		d := delivered{Identifier: function.NewRequestID(), Index: i}
		if err := h.publishOne(ctx, c, ev); err != nil {
			if runnel.KindOf(err) == runnel.Denied {
				return result{}, err
			}
			f := newFailure(err)
			d.Code, d.Message = f.Type, f.Message
			res.Failed = append(res.Failed, d)
			continue
		}
		res.Successful = append(res.Successful, d)
	}
	return res, nil
}

func (h *Handler) publishOne(ctx context.Context, c channel, ev string) error {
	switch {
	case len(ev) > maxPayload:
		return runnel.Errorf(runnel.Invalid, "the event has %d bytes; the limit is %d", len(ev), maxPayload)
	case !json.Valid([]byte(ev)):
		return runnel.Errorf(runnel.Invalid, "the event is not JSON")
	case c.space.Sessions:
		_, err := h.sessions.Publish(ctx, pieceOf(runnel.SessionID(c.rest), []byte(ev)))
		return err
	}
	return h.cfg.Bus.Broadcast(channelTopic+c.path, []byte(ev))
}

// pieceOf returns what an event does to a session: a string is text, an object with
// a type a piece as the native door has them, and anything else progress.
func pieceOf(id runnel.SessionID, ev []byte) runnel.Publication {
	p := runnel.Publication{Session: id, Type: runnel.EventDelta}
	if json.Unmarshal(ev, &p.Text) == nil {
		return p
	}
	var piece struct {
		Type    runnel.EventType `json:"type"`
		Text    string           `json:"text"`
		Failure *runnel.Failure  `json:"failure"`
	}
	if json.Unmarshal(ev, &piece) == nil {
		switch piece.Type {
		case runnel.EventStarted, runnel.EventDelta, runnel.EventReasoning, runnel.EventDone, runnel.EventFailed:
			p.Type, p.Text, p.Failure = piece.Type, piece.Text, piece.Failure
			return p
		default:
		}
	}
	p.Type, p.Progress = runnel.EventProgress, ev
	return p
}

// event publishes over HTTP.
func (h *Handler) event(w http.ResponseWriter, r *http.Request) {
	if upgrades(r) {
		h.eventSocket(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		writeFailure(w, http.StatusMethodNotAllowed, failure{Type: "MethodNotAllowedException", Message: "Use POST."})
		return
	}
	body, err := reply.ReadBody(w, r, maxPublish, h.cfg.BodyTimeout)
	if err != nil {
		WriteError(w, err)
		return
	}
	p, err := h.authenticate(r, auth.FromRequest(r), actionPublish, body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	var in publish
	if json.Unmarshal(body, &in) != nil {
		h.refuse(w, r, runnel.Errorf(runnel.Invalid, `the body is not an object with "channel" and "events"`))
		return
	}
	ctx, release := h.cfg.Bind(r.Context(), p)
	defer release()
	res, err := h.publish(ctx, p, in)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	writeBody(w, http.StatusOK, encode(res))
}

// hearChannel hands an event to those who follow the channel, or one above it.
func (h *Handler) hearChannel(path string, data []byte) {
	ev := &event{data: wire.AppendString(nil, string(data))}
	h.hub.say(channelKey(path, false), ev)
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		h.hub.say(channelKey(path[:i], true), ev)
	}
}

// channelKey is the key of those who follow a channel. No field's name begins so.
func channelKey(path string, wild bool) string {
	if wild {
		return "/" + path + "/*"
	}
	return "/" + path
}

// A listening is the source of a channel's events.
type listening struct{ *follower }

func (l listening) next(ctx context.Context, out *framer) error {
	events, err := l.follower.next(ctx)
	for _, ev := range events {
		out.raw(ev.data)
	}
	return err
}

// listen returns the source of a channel for a caller.
func (h *Handler) listen(ctx context.Context, p *runnel.Principal, name, id string, sub *subscription) (source, error) {
	c, err := h.channel(name)
	if err != nil {
		return nil, err
	}
	if err := allow(p, c.space.Subscribe); err != nil {
		return nil, err
	}
	if c.space.Sessions {
		reader, err := h.newReader(ctx, p, "/"+c.space.Name, runnel.SessionID(c.rest), "", id, sub)
		if err != nil {
			return nil, err
		}
		return &bare{reader: reader, show: showBody}, nil
	}
	if err := h.listening(ctx); err != nil {
		return nil, err
	}
	return listening{h.hub.follow(channelKey(c.path, c.wild))}, nil
}
