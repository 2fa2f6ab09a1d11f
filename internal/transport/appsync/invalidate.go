package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
)

// What is said on the bus: that subscriptions end, and which have ended.
const (
	invalidateTopic = "graphql/invalidate"
	endedTopic      = "graphql/ended"
)

const (
	// maxEnded is how many subscriptions are remembered that a mutation has ended.
	maxEnded = 20_000
	// maxTold is how many of them are told of in one message.
	maxTold = 1000
)

var (
	// errInvalidated ends a subscription because a mutation said so.
	errInvalidated = errors.New("appsync: a mutation has ended the subscription")
	// errStaysEnded answers a client that comes back for it by itself. The type is
	// none at which clients give up their socket.
	errStaysEnded = failureError{failure{Type: "SubscriptionInvalidated", Message: "Subscription complete."}}
)

// An invalidation is what a mutation says on the bus. It ends the subscriptions of
// a field that have the payload among their arguments. Null is no argument: what
// the mutation was not told of ends nothing, rather than everybody who left it out.
type invalidation struct {
	Subscription string        `json:"subscription"`
	Payload      graphql.Value `json:"payload"`
}

// invalidating returns a resolver that ends subscriptions when it has succeeded.
func (h *Handler) invalidating(b *binding, resolve graphql.Resolver) graphql.Resolver {
	return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
		value, err := resolve(ctx, f)
		if err != nil {
			return value, err
		}
		s := scope{session: b.sessionOf(f.Args), locale: b.localeOf(f.Args, h.api.Locale), at: h.now(), args: f.Args}
		for i := range b.ends {
			end := &b.ends[i]
			said := encode(invalidation{end.name, end.fill(&s)})
			// Whoever takes away what others may see must know if that has failed.
			if err := h.cfg.Bus.Broadcast(invalidateTopic, said); err != nil {
				return graphql.Value{}, err
			}
		}
		return value, nil
	}
}

// A live subscription is one that a mutation can end.
type live struct {
	args graphql.Value
	key  string // who has which subscription; empty: it has no id of its own
	end  context.CancelCauseFunc
}

// invalidations are the live subscriptions of fields that mutations end, and which
// of them have ended: Amplify does not read that, and begins them again.
type invalidations struct {
	mu    sync.Mutex
	live  map[string]map[*live]struct{} // by field; set once, for all such fields
	ended map[string]time.Time
	order []string // of the ended, oldest first
}

// enter notes a live subscription until leave is called.
func (in *invalidations) enter(field string, l *live, now time.Time) (leave func(), err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if at, ok := in.ended[l.key]; ok && now.Sub(at) < memory {
		return nil, errStaysEnded
	}
	all := in.live[field]
	all[l] = struct{}{}
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(all, l)
	}, nil
}

// matching returns the live subscriptions that an invalidation means.
func (in *invalidations) matching(said *invalidation) (meant []*live) {
	for _, v := range said.Payload.All() {
		if v.IsNull() {
			return nil
		}
	}
	filter := graphql.FilterEqual(said.Payload)
	in.mu.Lock()
	defer in.mu.Unlock()
	for l := range in.live[said.Subscription] {
		if filter.Match(l.args) {
			meant = append(meant, l)
		}
	}
	return meant
}

// remember notes subscriptions that stay ended.
func (in *invalidations) remember(keys []string, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, key := range keys {
		if _, ok := in.ended[key]; !ok {
			in.order = append(in.order, key)
		}
		in.ended[key] = now
	}
	for len(in.order) > 0 && (len(in.order) > maxEnded || now.Sub(in.ended[in.order[0]]) >= memory) {
		delete(in.ended, in.order[0])
		in.order = in.order[1:]
	}
}

// hearInvalidation ends this node's subscriptions that a mutation means, and tells
// all nodes which those were.
func (h *Handler) hearInvalidation(data []byte) {
	var said invalidation
	if err := json.Unmarshal(data, &said); err != nil {
		h.failed(h.life, err, "topic", invalidateTopic)
		return
	}
	meant := h.invalid.matching(&said)
	var keys []string
	for _, l := range meant {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	// Before the clients can come back, to whatever node.
	h.invalid.remember(keys, h.now())
	for some := range slices.Chunk(keys, maxTold) {
		if err := h.cfg.Bus.Broadcast(endedTopic, encode(some)); err != nil {
			h.log.Warn("other nodes do not know which subscriptions have ended", "subscription", said.Subscription, "err", err)
		}
	}
	for _, l := range meant {
		l.end(errInvalidated)
	}
}

func (h *Handler) hearEnded(data []byte) {
	var keys []string
	if err := json.Unmarshal(data, &keys); err != nil {
		h.failed(h.life, err, "topic", endedTopic)
		return
	}
	h.invalid.remember(keys, h.now())
}

// endable returns src as one that mutations can end with end, if there are such for
// the field. It owns src.
func (h *Handler) endable(
	ctx context.Context, p *runnel.Principal, s *graphql.Subscription, id string, end context.CancelCauseFunc, src source,
) (source, error) {
	if h.invalid.live[s.Field] == nil {
		return src, nil
	}
	l := &live{args: s.Args, end: end}
	if madeUp.MatchString(id) {
		l.key = p.ID + "\x00" + s.Field + "\x00" + id
	}
	err := h.listening(ctx)
	if err == nil {
		var leave func()
		if leave, err = h.invalid.enter(s.Field, l, h.now()); err == nil {
			return &ended{src, leave}, nil
		}
	}
	src.close()
	return nil, err
}

// An ended source is one whose end somebody waits for.
type ended struct {
	source
	leave func()
}

func (e *ended) close() {
	e.leave()
	e.source.close()
}
