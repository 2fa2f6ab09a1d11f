package appsync

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
)

// What is said on the bus, by topic.
const (
	mutationTopic = "graphql/mutation/"
	channelTopic  = "graphql/channel/"
)

// An event is something that was said, for all who follow it.
type event struct {
	data  []byte
	value graphql.Value // of a mutation

	mu       sync.Mutex
	payloads []payload // made of it, by plan
}

type payload struct {
	plan *graphql.Plan
	data []byte
}

// payload returns what subscribers with a plan get. It is made once.
func (e *event) payload(plan *graphql.Plan) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.payloads {
		if p.plan == plan {
			return p.data
		}
	}
	data := plan.AppendPayload(nil, e.value)
	e.payloads = append(e.payloads, payload{plan, data})
	return data
}

// hear takes up what is said on the bus.
func (h *Handler) hear(topic string, data []byte) {
	switch topic {
	case invalidateTopic:
		h.hearInvalidation(data)
	case endedTopic:
		h.hearEnded(data)
	case movedTopic:
		h.hearMoved(data)
	}
	if mutation, ok := strings.CutPrefix(topic, mutationTopic); ok {
		h.hearMutation(mutation, data)
	} else if channel, ok := strings.CutPrefix(topic, channelTopic); ok {
		h.hearChannel(channel, data)
	}
}

func (h *Handler) hearMutation(mutation string, data []byte) {
	value, err := graphql.ParseJSON(data)
	if err != nil {
		h.failed(h.life, err, "mutation", mutation)
		return
	}
	ev := &event{data: data, value: value}
	for _, field := range h.api.fanout[mutation] {
		for _, names := range h.shapes.of(field) {
			h.hub.say(shapeKey(field, names, value), ev)
		}
	}
}

// shapes are the sets of arguments by which subscribers filter a field now: an
// event is looked up once for each of them, however many subscribers there are.
type shapes struct {
	mu    sync.Mutex
	count map[string]map[string]int // field → names, joined → subscribers
}

func (s *shapes) add(field string, names []string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = make(map[string]map[string]int)
	}
	if s.count[field] == nil {
		s.count[field] = make(map[string]int)
	}
	key := strings.Join(names, ",")
	if s.count[field][key] += n; s.count[field][key] == 0 {
		delete(s.count[field], key)
	}
}

func (s *shapes) of(field string) (all [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.count[field] {
		var names []string
		if key != "" {
			names = strings.Split(key, ",")
		}
		all = append(all, names)
	}
	return all
}

// shapeKey returns the topic of those who want the given fields to be as they are
// in value, or as in their arguments.
func shapeKey(field string, names []string, value graphql.Value) string {
	key := []byte(field)
	for _, name := range names {
		v := value.Get(name)
		key = append(key, 0)
		start := len(key)
		key = v.AppendJSON(key) // null if it is absent
		if v.Kind() == graphql.KindNumber {
			if n, err := strconv.ParseFloat(string(key[start:]), 64); err == nil {
				key = strconv.AppendFloat(key[:start], n, 'g', -1, 64) // 1 and 1.0 are the same
			}
		}
	}
	return string(key)
}

// indexed returns the arguments that an event is looked up by, in a fixed order.
// Lists and objects are left to the filter.
func indexed(args graphql.Value) (names []string) {
	for name, v := range args.All() {
		if k := v.Kind(); k != graphql.KindList && k != graphql.KindObject {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A fanout is the source of mutations as they happen.
type fanout struct {
	door  *Handler
	sub   *graphql.Subscription
	names []string
	*follower
}

// newFanout returns a source of what passes the subscriber's arguments, or the
// filter that is bound to the field.
func (h *Handler) newFanout(ctx context.Context, sub *graphql.Subscription, b *binding) (*fanout, error) {
	if err := h.listening(ctx); err != nil {
		return nil, err
	}
	f := &fanout{door: h, sub: sub, names: indexed(sub.Args)}
	if b != nil {
		var err error
		if sub.Filter, err = graphql.ParseFilter(b.result.fill(&scope{args: sub.Args})); err != nil {
			return nil, runnel.Errorf(runnel.Invalid, "the filter does not fit").Because(err)
		}
		f.names = nil
	}
	f.follower = h.hub.follow(shapeKey(sub.Field, f.names, sub.Args))
	h.shapes.add(sub.Field, f.names, 1)
	return f, nil
}

// listening waits until nothing that is said on the bus is missed.
func (h *Handler) listening(ctx context.Context) error {
	select {
	case <-h.heard:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// next implements [source].
func (f *fanout) next(ctx context.Context, out *framer) error {
	events, err := f.follower.next(ctx)
	if err == errBehind { //nolint:errorlint // never wrapped
		err = runnel.Errorf(runnel.Limited, "the subscriber is too far behind").Because(err)
	}
	for _, ev := range events {
		if f.sub.Filter.Match(ev.value) {
			out.raw(ev.payload(f.sub.Plan))
		}
	}
	return err
}

func (f *fanout) close() {
	f.door.shapes.add(f.sub.Field, f.names, -1)
	f.follower.close()
}
