package session

import (
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
// repeat: validate, own the session, reserve the key, store the prompt, answer.
func (s *Service) Submit(ctx context.Context, sub runnel.Submission) (runnel.Receipt, error) {
	begin := time.Now()
	if s.isDraining() {
		return runnel.Receipt{}, &runnel.Error{Kind: runnel.Unavailable, Msg: "this server is shutting down", RetryAfter: drainRetry}
	}
	if err := s.validate(sub); err != nil {
		return runnel.Receipt{}, err
	}
	if err := s.admit(ctx, runnel.Submit, sub.Prompt.Session); err != nil {
		return runnel.Receipt{}, err
	}
	p := sub.Prompt
	p.Generation = runnel.GenerationID(ulid.Make().String())
	if sub.IdempotencyKey != "" {
		earlier, err := s.reserve(ctx, sub, p.Generation)
		if err != nil {
			return runnel.Receipt{}, err
		}
		if earlier != "" {
			receipt, err := s.receipt(ctx, p.Session, earlier)
			if runnel.KindOf(err) != runnel.NotFound {
				return receipt, err
			}
			// The earlier submission died before its prompt was stored.
			p.Generation = earlier
		}
	}
	if err := s.accept(ctx, &p, s.cfg.Mode == Reject); err != nil {
		return runnel.Receipt{}, err
	}
	s.metrics.Accepted(time.Since(begin))
	return runnel.Receipt{Session: p.Session, Generation: p.Generation, Cursor: p.Cursor}, nil
}

// accept stores the prompt, and beside it where its generation belongs. If it is
// exclusive, the session must have none.
func (s *Service) accept(ctx context.Context, p *runnel.Prompt, exclusive bool) (err error) {
	var indexing sync.WaitGroup
	var indexErr error
	indexing.Go(func() { indexErr = s.engine.Index(ctx, p.Session, p.Generation) })
	p.AcceptedAt = time.Now().UTC()
	if p.Cursor, err = s.engine.End(ctx, p.Session); err == nil {
		err = s.engine.Enqueue(ctx, *p, exclusive)
	}
	indexing.Wait()
	if err == nil {
		err = indexErr
	}
	return err
}

func (s *Service) validate(sub runnel.Submission) error {
	p := &sub.Prompt
	if err := p.Session.Validate(); err != nil {
		return err
	}
	size, empty := len(p.System), true
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			size += len(part.Text)
			empty = empty && strings.TrimSpace(part.Text) == "" && part.Image == nil && part.ToolResult == nil
		}
	}
	switch {
	case empty:
		return runnel.Errorf(runnel.Invalid, "the prompt is empty")
	case size > s.cfg.MaxPrompt:
		return runnel.Errorf(runnel.Invalid, "the prompt has %d bytes; the limit is %d", size, s.cfg.MaxPrompt)
	case p.MaxTokens < 0:
		return runnel.Errorf(runnel.Invalid, "max_tokens is negative")
	case p.Temperature != nil && (*p.Temperature < 0 || *p.Temperature > 2):
		return runnel.Errorf(runnel.Invalid, "temperature is not between 0 and 2")
	case len(sub.IdempotencyKey) > maxIdempotencyKey:
		return runnel.Errorf(runnel.Invalid, "the idempotency key has %d bytes; the limit is %d", len(sub.IdempotencyKey), maxIdempotencyKey)
	}
	_, err := s.router.Lookup(p.Model)
	return err
}

// reserve binds the submission's key to gen. It returns the generation that
// the key was bound to earlier, if any.
func (s *Service) reserve(ctx context.Context, sub runnel.Submission, gen runnel.GenerationID) (runnel.GenerationID, error) {
	body, err := json.Marshal(sub.Prompt)
	if err != nil {
		return "", runnel.Errorf(runnel.Invalid, "the prompt cannot be encoded").Because(err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:16])

	// Two callers who happen to choose the same key do not meet.
	key := sha256.Sum256([]byte(runnel.PrincipalFrom(ctx).ID + "\x00" + sub.IdempotencyKey))
	stored, existed, err := s.engine.Reserve(ctx, hex.EncodeToString(key[:]), string(gen)+" "+digest)
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
