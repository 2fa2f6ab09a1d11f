package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/answer"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/idiom"
)

// errDiverged ends a view that cannot say that an answer begins anew.
var errDiverged = runnel.Errorf(runnel.Conflict, "the answer was begun again and says something else now")

// A view is the source of a session's answers, one after the other, as its
// binding dresses them.
type view struct {
	*reader
	binding *binding
	sub     *graphql.Subscription
	scope   scope

	group  idiom.Group // text that waits for more
	out    *framer     // during next
	settle place       // the last place at which nothing waited
	failed error
}

// newView returns a view for a caller, or the source of a session's bare events.
// sub may be nil.
func (h *Handler) newView(ctx context.Context, p *runnel.Principal, b *binding, s *graphql.Subscription, id string, sub *subscription) (source, error) {
	reader, err := h.newReader(ctx, p, s.Field, b.sessionOf(s.Args), b.after.of(s.Args).Text(), id, sub)
	if err != nil {
		return nil, err
	}
	if b.Do == gqlapi.Events {
		return &bare{reader: reader, show: showEvent(s.Plan)}, nil
	}
	v := &view{reader: reader, binding: b, sub: s, settle: reader.at, group: idiom.Group{Size: b.Group, Most: maxPayload / 2}}
	v.scope = scope{session: reader.session, args: s.Args}
	return v, nil
}

// next implements [source].
func (v *view) next(ctx context.Context, out *framer) error {
	v.out = out
	for len(out.buf) == 0 {
		events, err := v.read(ctx)
		if err != nil {
			return err
		}
		if events == nil {
			v.flush() // what waits has waited long enough
			v.settled()
		}
		v.takeAll(events)
		if v.failed != nil {
			return v.failed
		}
	}
	v.reach(&v.settle)
	return nil
}

// read returns what comes next; nothing when it is time to send what waits.
func (v *view) read(ctx context.Context) ([]runnel.Event, error) {
	if v.group.Empty() {
		return v.door.sessions.Read(ctx, v.session, v.at.after)
	}
	timed, cancel := context.WithDeadline(ctx, v.group.Since().Add(v.door.api.GroupInterval))
	defer cancel()
	events, err := v.door.sessions.Read(timed, v.session, v.at.after)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	return events, err
}

func (v *view) takeAll(events []runnel.Event) {
	for i := range events {
		ev := &events[i]
		again := v.take(ev)
		if v.failed != nil {
			return
		}
		if again { // from where another answer begins
			v.at.after, v.at.back = *v.at.back, nil
			v.settled()
			return
		}
		if !ev.Cursor.IsZero() {
			v.at.after = ev.Cursor
		}
		v.settled()
	}
}

// settled notes the place if nothing waits.
func (v *view) settled() {
	if v.group.Empty() {
		v.settle = v.at
	}
}

// maxOver bounds how many answers may be interleaved.
const maxOver = 64

// take shows an event. True means that reading goes on at v.at.back.
func (v *view) take(ev *runnel.Event) (again bool) {
	at := &v.at
	switch {
	case ev.Generation == "": // the whole session is void
		v.leave()
		at.over = nil
		return false
	case slices.Contains(at.over, ev.Generation):
		if ev.Type.Terminal() {
			at.over = slices.DeleteFunc(slices.Clone(at.over), func(g runnel.GenerationID) bool { return g == ev.Generation })
		}
		return false
	case ev.Type == runnel.EventQueued:
		return false
	case at.generation == "":
		at.generation = ev.Generation
	case at.generation != ev.Generation:
		if at.back == nil {
			from := at.after
			at.back = &from
		}
		return false
	}
	v.show(ev)
	if !ev.Type.Terminal() || v.failed != nil {
		return false
	}
	v.door.recent.saw(v.session, ev.Generation, v.who)
	if at.back != nil && len(at.over) < maxOver {
		at.over = append(slices.Clone(at.over), ev.Generation)
		again = true
	}
	v.leave()
	return again
}

// leave ends an answer.
func (v *view) leave() {
	v.flush()
	v.at.generation, v.at.attempt, v.at.begun, v.at.outside, v.at.spoke = "", 0, false, false, false
	v.at.text = answer.Track{}
}

// show shows an event of the answer.
func (v *view) show(ev *runnel.Event) {
	at := &v.at
	if ev.Attempt > at.attempt {
		at.attempt = ev.Attempt
		at.text.Rewind()
	}
	said := v.said(ev)
	switch ev.Type {
	case runnel.EventStarted:
		// The first piece of what is published here may be anything: it stands for
		// the start, if its publisher sends none.
		if !at.begun && (said != nil || ev.Model != modelOutside) {
			v.start(ev, said)
		}
	case runnel.EventDelta:
		v.add(ev, said)
	case runnel.EventReset:
		at.text.Rewind()
		v.add(ev, nil)
	case runnel.EventDone, runnel.EventCancelled, runnel.EventFailed:
		v.finish(ev, said)
	default:
	}
}

// said returns the event as it was published by one of the mutations that the
// subscription names; nil if it was not.
func (v *view) said(ev *runnel.Event) *graphql.Value {
	if ev.Data == nil {
		return nil
	}
	var data published
	if json.Unmarshal(ev.Data, &data) != nil || !slices.Contains(v.sub.Mutations, data.Mutation) {
		return nil
	}
	value, err := graphql.ParseJSON(data.Event)
	if err != nil {
		return nil
	}
	return &value
}

// start begins an answer.
func (v *view) start(ev *runnel.Event, said *graphql.Value) {
	v.at.begun = true
	switch {
	case said != nil:
		v.at.outside = true
		v.sayAs(said)
	case v.binding.Markers:
		v.say(ev, idiom.MarkerStart, false)
	}
}

// add shows what is new of a fragment.
func (v *view) add(ev *runnel.Event, said *graphql.Value) {
	at := &v.at
	again := !at.text.Whole()
	more, ok := at.text.Add(ev.Text)
	if !ok {
		v.anew(ev)
		return
	}
	if !at.begun {
		if said != nil { // its publisher sends no markers, or has lost one
			at.begun, at.outside = true, true
		} else {
			v.start(ev, nil)
		}
	}
	switch {
	case said != nil && !again:
		v.sayAs(said)
	case more != "":
		v.hold(ev, more)
	}
}

// anew begins an answer again that says something else than what was sent.
func (v *view) anew(ev *runnel.Event) {
	if !v.binding.Markers {
		v.failed = errDiverged
		return
	}
	v.flush()
	text := v.at.text.Again()
	if ev.Type == runnel.EventReset {
		text = ""
	}
	if ev.Type == runnel.EventDelta || ev.Type == runnel.EventReset {
		text += ev.Text
	}
	v.at.text = answer.Track{}
	_, _ = v.at.text.Add(text) // it is the first
	v.say(ev, idiom.MarkerStart, false)
	if text != "" {
		v.say(ev, text, false)
	}
}

// hold keeps a fragment until its group is full. The first is never held back.
func (v *view) hold(ev *runnel.Event, text string) {
	first := !v.at.spoke
	full := v.group.Add(text)
	v.at.spoke = true
	v.scope.at, v.scope.generation = ev.Time, ev.Generation
	if first || full {
		v.flush()
	}
}

// flush shows what waits.
func (v *view) flush() {
	if !v.group.Empty() {
		v.dress(v.group.Take(), false)
	}
}

// finish ends an answer.
func (v *view) finish(ev *runnel.Event, said *graphql.Value) {
	at := &v.at
	if ev.Type == runnel.EventDone && !at.text.Whole() {
		v.anew(ev) // the answer has become shorter
		if v.failed != nil {
			return
		}
	}
	v.flush()
	switch {
	case said != nil:
		v.sayAs(said)
		return
	case at.outside && ev.Failure != nil && ev.Failure.Kind == runnel.Conflict.String():
		return // its publisher has begun another, which comes next
	}
	if !at.begun {
		v.start(ev, nil)
	}
	if v.binding.Markers {
		if ev.Type == runnel.EventFailed {
			v.say(ev, idiom.ErrorSentence(v.locale()), false)
			v.say(ev, idiom.MarkerError, true)
		} else {
			v.say(ev, idiom.MarkerEnd, true)
		}
	}
	if v.binding.End {
		v.say(ev, "", true)
	}
}

// say shows a text of its own.
func (v *view) say(ev *runnel.Event, text string, done bool) {
	v.flush()
	v.scope.at, v.scope.generation = ev.Time, ev.Generation
	v.dress(text, done)
}

// dress shows a text as the binding has it, in as many events as it takes.
func (v *view) dress(text string, done bool) {
	v.scope.text, v.scope.done, v.scope.locale = text, done, v.locale()
	ev := v.binding.result.fill(&v.scope)
	v.at.version++
	if v.out.project(v.sub.Plan, ev) || len(text) < 2 {
		return
	}
	half := len(text) / 2
	for half > 0 && text[half]&0xC0 == 0x80 { // within a rune
		half--
	}
	if half == 0 {
		return
	}
	v.dress(text[:half], false)
	v.dress(text[half:], done)
}

// sayAs shows an event as it was published, if the subscriber's arguments want it.
func (v *view) sayAs(said *graphql.Value) {
	v.flush()
	if said.IsNull() || !v.sub.Filter.Match(*said) {
		return
	}
	v.at.version++
	if !v.out.project(v.sub.Plan, *said) {
		v.door.log.Warn("an event is too large for its subscribers", "session_id", v.session, "limit", maxPayload)
	}
}

// locale returns the language in which the session was asked, as far as this node
// knows.
func (v *view) locale() string {
	if locale := v.door.recent.locale(v.session); locale != "" {
		return locale
	}
	return v.door.api.Locale
}
