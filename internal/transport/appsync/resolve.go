package appsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/graphql"
	"github.com/runnelhq/runnel/internal/idiom"
)

// resolver returns what resolves the field of a binding.
func (h *Handler) resolver(b *binding) (graphql.Resolver, error) {
	switch b.Do {
	case gqlapi.Submit:
		return h.submitter(b), nil
	case gqlapi.Publish:
		return h.publisher(b), nil
	case gqlapi.Cancel:
		return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
			gen, err := h.sessions.Cancel(ctx, runnel.GenerationID(b.text.of(f.Args).Text()))
			if err != nil {
				return graphql.Value{}, err
			}
			return graphql.From(gen)
		}, nil
	case gqlapi.Session:
		return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
			transcript, err := h.sessions.Transcript(ctx, b.sessionOf(f.Args))
			if err != nil {
				return graphql.Value{}, err
			}
			return graphql.From(transcript)
		}, nil
	case gqlapi.Constant:
		return func(_ context.Context, f *graphql.Field) (graphql.Value, error) {
			return b.result.fill(&scope{at: h.now(), args: f.Args, locale: h.cfg.API.Locale}), nil
		}, nil
	case gqlapi.HTTP:
		return h.endpoint(b), nil
	case gqlapi.Function:
		return h.function(b)
	}
	return nil, fmt.Errorf("there is nothing that does %q", b.Do)
}

// submitter returns what hands in prompts.
func (h *Handler) submitter(b *binding) graphql.Resolver {
	return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
		key := b.key.of(f.Args).Text()
		if key == "" {
			key = keyFrom(ctx, f.Alias)
		}
		s := scope{session: b.sessionOf(f.Args), locale: b.localeOf(f.Args, h.api.Locale), at: h.now(), args: f.Args}
		if s.session == "" {
			s.session = runnel.FreshSession(ctx, key)
		}
		if s.text = b.text.of(f.Args).Text(); strings.TrimSpace(s.text) == "" {
			if b.Optional {
				return b.result.fill(&s), nil
			}
			return graphql.Value{}, runnel.Errorf(runnel.Invalid, "the prompt is empty")
		}
		if err := s.session.Validate(); err != nil {
			return graphql.Value{}, err
		}
		h.recent.speaks(s.session, s.locale) // before the answer can begin
		receipt, err := h.sessions.Submit(ctx, runnel.Submission{IdempotencyKey: key, Prompt: runnel.Prompt{
			Session: s.session, Model: b.model.of(f.Args).Text(), System: b.system.of(f.Args).Text(), History: true,
			Messages: []runnel.Message{runnel.TextMessage(runnel.User, s.text)}, Metadata: map[string]string{"locale": s.locale},
		}})
		if err != nil {
			return graphql.Value{}, err
		}
		if !receipt.Repeated {
			h.recent.note(receipt, s.at)
		}
		s.generation, s.cursor, s.repeated = receipt.Generation, receipt.Cursor, receipt.Repeated
		return b.result.fill(&s), nil
	}
}

// A published is the data of a piece that came by a mutation: those who subscribe
// to it get the event as it is; null if they get it with another piece.
type published struct {
	Mutation string          `json:"mutation"`
	Event    json.RawMessage `json:"event"`
}

// modelOutside is what the model of answers is called that come by a mutation.
const modelOutside = "published"

// publisher returns what adds pieces to answers from outside.
func (h *Handler) publisher(b *binding) graphql.Resolver {
	return func(ctx context.Context, f *graphql.Field) (graphql.Value, error) {
		s := scope{
			session: b.sessionOf(f.Args), text: b.text.of(f.Args).Text(), done: b.done.of(f.Args).Bool(),
			locale: b.localeOf(f.Args, h.api.Locale), at: h.now(), args: f.Args,
		}
		result := b.result.fill(&s)
		if s.session == "" && b.Optional {
			return result, nil
		}
		event := f.Restrict(result).AppendJSON(nil)
		p := runnel.Publication{
			Session: s.session, Model: modelOutside, Type: runnel.EventDelta, Text: s.text, Key: keyFrom(ctx, f.Alias),
			Data: encode(published{Mutation: f.Name, Event: event}),
		}
		if b.Markers {
			p.Type = idiom.PieceType(s.text)
		}
		if s.done {
			if s.text != "" { // the last words are an event of their own
				last := p // p is still a delta
				last.Data = encode(published{Mutation: f.Name, Event: json.RawMessage("null")})
				if last.Key != "" {
					last.Key += " text"
				}
				if _, err := h.sessions.Publish(ctx, last); err != nil {
					return graphql.Value{}, err
				}
			}
			p.Type = runnel.EventDone
		}
		if p.Type != runnel.EventDelta {
			p.Text = ""
		}
		h.recent.speaks(s.session, s.locale)
		receipt, err := h.sessions.Publish(ctx, p)
		if err != nil {
			return graphql.Value{}, err
		}
		if !receipt.Repeated {
			h.recent.note(receipt, s.at)
		}
		return result, nil
	}
}

type keyKey struct{}

// withKey notes the Idempotency-Key of a request.
func withKey(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, keyKey{}, key)
}

// keyFrom returns the key of one field of a request.
func keyFrom(ctx context.Context, alias string) string {
	key, ok := ctx.Value(keyKey{}).(string)
	if !ok {
		return ""
	}
	return key + " " + alias
}

// completed lets subscribers know of a mutation that nothing else is bound to.
func (h *Handler) completed(ctx context.Context, f *graphql.Field, event graphql.Value) {
	if len(h.api.fanout[f.Name]) == 0 {
		return
	}
	data := event.AppendJSON(nil)
	if len(data) > maxPayload {
		h.log.WarnContext(ctx, "an event is too large for its subscribers", "mutation", f.Name, "bytes", len(data), "limit", maxPayload)
		return
	}
	if err := h.cfg.Bus.Broadcast(mutationTopic+f.Name, data); err != nil {
		h.log.WarnContext(ctx, "an event could not be sent", "mutation", f.Name, "err", err)
	}
}

// describe returns what the answer says of a resolver's error.
func (h *Handler) describe(ctx context.Context, f *graphql.Field, err error) *graphql.Error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &graphql.Error{Type: "ExecutionTimeout", Message: "Execution timed out."}
	}
	h.failed(ctx, err, "field", f.Parent+"."+f.Name)
	fail := newFailure(err)
	return &graphql.Error{Type: fail.Type, Message: fail.Message}
}
