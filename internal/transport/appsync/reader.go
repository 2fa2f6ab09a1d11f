package appsync

import (
	"context"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/wire"
)

// A reader follows a session for one subscriber.
type reader struct {
	door    *Handler
	session runnel.SessionID
	who     string  // the caller, and what it subscribes to
	keeper  *keeper // nil: nobody remembers
	stopped func() bool
	at      place
}

// newReader returns a reader from where the subscriber goes on, or begins. what
// is what it subscribes to, after the cursor that it names, if any, and id the
// client's name for the subscription. sub may be nil.
func (h *Handler) newReader(
	ctx context.Context, p *runnel.Principal, what string, session runnel.SessionID, after, id string, sub *subscription,
) (*reader, error) {
	if err := session.Validate(); err != nil {
		return nil, err
	}
	if !p.May(runnel.Read, session) {
		return nil, runnel.Errorf(runnel.Denied, "the credentials do not allow to read this session")
	}
	r := &reader{
		door: h, session: session, who: p.ID + "\x00" + what + "\x00" + string(session), stopped: func() bool { return false },
	}
	known := false
	if sub != nil && madeUp.MatchString(id) {
		key := r.who + "\x00" + id
		var before *keeper
		r.keeper, before = h.places.keep(key, func() { sub.cancel(errMoved) }, h.now())
		sub.keeper.Store(r.keeper)
		r.stopped = sub.stopped.Load
		if before != nil {
			r.at, known = before.place(h.now())
			h.withdraw(ctx, before)
		} else {
			r.at, known = h.takeUp(ctx, key, session)
		}
	}
	if !known {
		var err error
		if r.at.after, err = h.begins(ctx, after, session, r.who); err != nil {
			r.close()
			return nil, err
		}
	}
	if r.keeper != nil {
		r.keeper.begin(&r.at)
	}
	return r, nil
}

// begins returns the cursor behind which a new subscriber begins: the one it names,
// or that of the first answer in flight, or of one that was quicker than the
// subscriber.
func (h *Handler) begins(ctx context.Context, after string, id runnel.SessionID, who string) (runnel.Cursor, error) {
	if after != "" {
		return runnel.ParseCursor(after)
	}
	if h.api.Strict {
		return h.sessions.End(ctx, id)
	}
	// First what is over: what ends after this look is in flight at the next.
	unseen, missed := h.recent.unseen(id, who, h.now())
	now, err := h.sessions.Active(ctx, id)
	if err != nil {
		return runnel.Cursor{}, err
	}
	at := now.Cursor
	for i, g := range now.Active {
		// The first lies before the end in any case, also when a restart between
		// them has begun another epoch.
		if i == 0 || before(g.Cursor, at) {
			at = g.Cursor
		}
	}
	if missed && before(unseen, at) {
		at = unseen
	}
	return at, nil
}

// before reports whether a lies before b. Numbers rise from one epoch to the next,
// but for those that a crash has taken back: reading behind them is a reset.
func before(a, b runnel.Cursor) bool { return a.IsZero() || a.Seq < b.Seq }

// reach lets the keeper know how far the client gets with what was appended.
func (r *reader) reach(p *place) {
	if r.keeper != nil {
		r.keeper.reach(p)
	}
}

func (r *reader) close() {
	stopped := r.stopped()
	if stopped && r.at.generation != "" {
		r.door.recent.saw(r.session, r.at.generation, r.who)
	}
	if r.keeper != nil {
		r.door.handOver(r.keeper, r.session, stopped)
	}
}

// A bare is the source of a session's events as they are.
type bare struct {
	*reader
	show func(out *framer, ev *runnel.Event)
}

// next implements [source].
func (b *bare) next(ctx context.Context, out *framer) error {
	events, err := b.door.sessions.Read(ctx, b.session, b.at.after)
	if err != nil {
		return err
	}
	for i := range events {
		ev := &events[i]
		b.show(out, ev)
		b.at.version++
		if ev.Type.Terminal() {
			b.door.recent.saw(b.session, ev.Generation, b.who)
		}
		if !ev.Cursor.IsZero() {
			b.at.after = ev.Cursor
		}
	}
	b.reach(&b.at)
	return nil
}

// showEvent shows events as the type SessionEvent of the built-in schema.
func showEvent(plan *graphql.Plan) func(*framer, *runnel.Event) {
	wantsBody := plan.Wants("body")
	return func(out *framer, ev *runnel.Event) {
		members := []graphql.Member{
			{Name: "session", Value: graphql.String(string(ev.Session))},
			{Name: "type", Value: graphql.String(string(ev.Type))},
			{Name: "attempt", Value: graphql.Int(int64(ev.Attempt))},
			{Name: "text", Value: graphql.String(ev.Text)},
		}
		if !ev.Cursor.IsZero() {
			members = append(members, graphql.Member{Name: "cursor", Value: graphql.String(ev.Cursor.String())})
		}
		if ev.Generation != "" {
			members = append(members, graphql.Member{Name: "generation", Value: graphql.String(string(ev.Generation))})
		}
		if wantsBody {
			body, err := graphql.ParseJSON(ev.Body)
			if err == nil {
				members = append(members, graphql.Member{Name: "body", Value: body})
			}
		}
		out.project(plan, graphql.Object(members...)) // an event of the log is smaller than a subscriber may get
	}
}

// showBody shows events as channels have them: JSON in a string.
func showBody(out *framer, ev *runnel.Event) {
	out.frame(func(dst []byte) []byte { return wire.AppendString(dst, string(ev.Body)) })
}
