package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
)

const maxIdempotencyKey = 256

// drainRetry is how long a client refused by a draining node is asked to wait.
const drainRetry = time.Second

// Submit implements [runnel.Sessions]. The order is what makes it safe to
// repeat: validate, count, own the session, reserve the key, store the prompt,
// answer. Whoever is refused by a limit has changed nothing by then, and what
// was accepted before is not counted again.
func (s *Service) Submit(ctx context.Context, sub runnel.Submission) (runnel.Receipt, error) {
	begin := time.Now()
	if s.isDraining() {
		return runnel.Receipt{}, &runnel.Error{Kind: runnel.Unavailable, Msg: "this server is shutting down", RetryAfter: drainRetry}
	}
	size, err := s.validate(sub)
	if err != nil {
		return runnel.Receipt{}, err
	}
	p := sub.Prompt
	p.Generation = runnel.GenerationID(ulid.Make().String())
	caller := runnel.PrincipalFrom(ctx)
	p.Account = cmp.Or(caller.Account, caller.ID)
	done := func(bool) {}
	if s.limits.Limited(caller) {
		if receipt, err := s.earlier(ctx, sub); err != nil || receipt.Repeated {
			return receipt, err
		}
		active := func(ctx context.Context) (int, error) { return s.engine.Active(ctx, p.Account) }
		if done, err = s.limits.Admit(ctx, caller, &p, size, active); err != nil {
			return runnel.Receipt{}, err
		}
	}
	receipt, stored, err := s.store(ctx, sub, &p)
	done(stored)
	if err == nil && !receipt.Repeated {
		s.metrics.Accepted(time.Since(begin))
	}
	return receipt, err
}

// store makes the prompt durable, and what its generation needs. It reports
// false if the prompt is certainly not stored, or was before.
func (s *Service) store(ctx context.Context, sub runnel.Submission, p *runnel.Prompt) (receipt runnel.Receipt, stored bool, err error) {
	if err := s.admit(ctx, runnel.Submit, p.Session); err != nil {
		return receipt, false, err
	}
	if sub.IdempotencyKey != "" {
		earlier, err := s.reserve(ctx, sub, p.Generation)
		if err != nil {
			return receipt, false, err
		}
		if earlier != "" {
			receipt, err := s.receipt(ctx, p.Session, earlier)
			if runnel.KindOf(err) != runnel.NotFound {
				return receipt, false, err
			}
			// The earlier submission died before its prompt was stored.
			p.Generation = earlier
		}
	}
	stored, err = s.accept(ctx, p, s.cfg.Mode == Reject)
	if err != nil {
		return receipt, stored, err
	}
	return runnel.Receipt{Session: p.Session, Generation: p.Generation, Cursor: p.Cursor}, true, nil
}

// earlier returns the receipt of the submission that this one repeats, if it
// does.
func (s *Service) earlier(ctx context.Context, sub runnel.Submission) (receipt runnel.Receipt, err error) {
	if sub.IdempotencyKey == "" {
		return receipt, nil
	}
	gen, err := s.reserve(ctx, sub, "")
	if err != nil || gen == "" {
		return receipt, err
	}
	if err := s.admit(ctx, runnel.Submit, sub.Prompt.Session); err != nil {
		return receipt, err
	}
	receipt, err = s.receipt(ctx, sub.Prompt.Session, gen)
	if runnel.KindOf(err) == runnel.NotFound {
		err = nil
	}
	return receipt, err
}

// accept stores the prompt, and beside it where its generation belongs. If it is
// exclusive, the session must have none. It reports false if the prompt is
// certainly not stored.
func (s *Service) accept(ctx context.Context, p *runnel.Prompt, exclusive bool) (stored bool, err error) {
	ctx, done := s.tracer.Begin(ctx, runnel.Step{Name: runnel.StepAccept, Session: p.Session, Generation: p.Generation, Node: s.cfg.Node})
	defer func() { done(outcome(err)) }()
	p.Trace = runnel.TraceFrom(ctx)
	var indexing sync.WaitGroup
	var indexErr error
	indexing.Go(func() { indexErr = s.engine.Index(ctx, p.Session, p.Generation) })
	p.AcceptedAt = time.Now().UTC()
	if p.Cursor, err = s.engine.End(ctx, p.Session); err == nil {
		err = s.engine.Enqueue(ctx, *p, exclusive)
		kind := runnel.KindOf(err)
		stored = err == nil || kind != runnel.Conflict && kind != runnel.Invalid
	}
	indexing.Wait()
	if err == nil {
		err = indexErr
	}
	return stored, err
}

// validate returns how many bytes of text the prompt has.
func (s *Service) validate(sub runnel.Submission) (size int, err error) {
	p := &sub.Prompt
	if err := p.Session.Validate(); err != nil {
		return 0, err
	}
	empty := true
	size = len(p.System)
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			size += len(part.Text)
			empty = empty && strings.TrimSpace(part.Text) == "" && part.Image == nil && part.ToolResult == nil
		}
	}
	switch {
	case empty:
		return 0, runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case size > s.cfg.MaxPrompt:
		return 0, runnel.Errorf(runnel.Invalid, "the prompt has %d bytes; the limit is %d", size, s.cfg.MaxPrompt)
	case p.MaxTokens < 0:
		return 0, runnel.Errorf(runnel.Invalid, "max_tokens is negative")
	case p.Temperature != nil && (*p.Temperature < 0 || *p.Temperature > 2):
		return 0, runnel.Errorf(runnel.Invalid, "temperature is not between 0 and 2")
	case len(sub.IdempotencyKey) > maxIdempotencyKey:
		return 0, runnel.Errorf(runnel.Invalid, "the idempotency key has %d bytes; the limit is %d", len(sub.IdempotencyKey), maxIdempotencyKey)
	}
	_, err = s.router.Lookup(p.Model)
	return size, err
}

// reserve binds the submission's key to gen, if there is one to bind it to. It
// returns the generation that the key was bound to earlier, if any.
func (s *Service) reserve(ctx context.Context, sub runnel.Submission, gen runnel.GenerationID) (runnel.GenerationID, error) {
	body, err := json.Marshal(sub.Prompt)
	if err != nil {
		return "", runnel.Errorf(runnel.Invalid, "the prompt cannot be encoded").Because(err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:16])

	// Two callers who happen to choose the same key do not meet.
	key := sha256.Sum256([]byte(runnel.PrincipalFrom(ctx).ID + "\x00" + sub.IdempotencyKey))
	value := ""
	if gen != "" {
		value = string(gen) + " " + digest
	}
	stored, existed, err := s.engine.Reserve(ctx, hex.EncodeToString(key[:]), value)
	if err != nil || !existed {
		return "", err
	}
	earlier, earlierDigest, _ := strings.Cut(stored, " ")
	if earlierDigest != digest {
		return "", runnel.Errorf(runnel.Conflict, "the idempotency key was used for another prompt")
	}
	return runnel.GenerationID(earlier), nil
}

// receipt repeats what the submission of gen was answered.
func (s *Service) receipt(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Receipt, error) {
	g, err := s.lookup(ctx, id, gen)
	if err != nil {
		return runnel.Receipt{}, err
	}
	return runnel.Receipt{Session: id, Generation: gen, Cursor: g.Cursor, Repeated: true}, nil
}
