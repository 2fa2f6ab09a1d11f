package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/runnelhq/runnel"
)

const (
	// maxPiece bounds what one publication may carry, in bytes.
	maxPiece = 1 << 20
	// pieceCost is what a piece counts for beside its contents, and maxPieces how
	// many times over the longest answer all that its pieces carry may be.
	pieceCost = 64
	maxPieces = 8
	maxModel  = 256
)

// Publish implements [runnel.Sessions]. The session's last piece says which
// generation is open, and each piece names the one that it follows: whichever
// nodes they come through, the pieces of a session are one chain.
func (s *Service) Publish(ctx context.Context, p runnel.Publication) (runnel.Receipt, error) {
	if err := s.checkPublication(&p); err != nil {
		return runnel.Receipt{}, err
	}
	if err := s.admit(ctx, runnel.Publish, p.Session); err != nil {
		return runnel.Receipt{}, err
	}
	want, err := newPiece(ctx, &p)
	if err != nil {
		return runnel.Receipt{}, err
	}
	for end := time.Now().Add(callTimeout); ; {
		stored, repeated, err := s.put(ctx, &p, want)
		if err == nil {
			if !repeated {
				s.metrics.Published()
			}
			return s.publication(ctx, p.Session, &stored, repeated)
		}
		if !overtaken(err) {
			return runnel.Receipt{}, err
		}
		if time.Now().After(end) {
			return runnel.Receipt{}, runnel.Errorf(runnel.Unavailable, "too many publish to this session at once").Because(err)
		}
	}
}

// An overtakenError says that another piece was stored meanwhile.
type overtakenError struct{ error }

func overtaken(err error) bool {
	_, is := err.(overtakenError) //nolint:errorlint // never wrapped
	return is
}

func (s *Service) checkPublication(p *runnel.Publication) error {
	if err := p.Session.Validate(); err != nil {
		return err
	}
	size := len(p.Text) + len(p.Progress) + len(p.Data) + len(p.Prompt)
	if p.Failure != nil {
		size += len(p.Failure.Kind) + len(p.Failure.Message)
	}
	switch p.Type {
	case runnel.EventStarted:
		if p.Generation != "" {
			return runnel.Errorf(runnel.Invalid, "what begins a generation cannot name one")
		}
	case runnel.EventProgress:
		if !json.Valid(p.Progress) {
			return runnel.Errorf(runnel.Invalid, "the progress is not JSON")
		}
	case runnel.EventDelta, runnel.EventReasoning, runnel.EventDone, runnel.EventFailed:
	default:
		return runnel.Errorf(runnel.Invalid, "events of type %.80q cannot be published", p.Type)
	}
	switch {
	case p.Data != nil && !json.Valid(p.Data):
		return runnel.Errorf(runnel.Invalid, "the data is not JSON")
	case !utf8.ValidString(p.Text) || !utf8.ValidString(p.Model) || !utf8.ValidString(p.Prompt):
		return runnel.Errorf(runnel.Invalid, "the text is not UTF-8")
	case size > maxPiece:
		return runnel.Errorf(runnel.Invalid, "the piece has %d bytes; the limit is %d", size, maxPiece)
	case len(p.Model) > maxModel || len(p.StopReason) > maxModel:
		return runnel.Errorf(runnel.Invalid, "the name of a model or a stop reason has more than %d bytes", maxModel)
	case len(p.Prompt) > s.cfg.MaxPrompt:
		return runnel.Errorf(runnel.Invalid, "the prompt has %d bytes; the limit is %d", len(p.Prompt), s.cfg.MaxPrompt)
	case len(p.Key) > maxIdempotencyKey:
		return runnel.Errorf(runnel.Invalid, "the idempotency key has %d bytes; the limit is %d", len(p.Key), maxIdempotencyKey)
	}
	return nil
}

// newPiece returns what a publication says, as far as it does not depend on the
// pieces before it.
func newPiece(ctx context.Context, p *runnel.Publication) (runnel.Piece, error) {
	piece := runnel.Piece{
		Type: p.Type, Progress: p.Progress, Data: p.Data, Model: p.Model, Prompt: p.Prompt, StopReason: p.StopReason, Usage: p.Usage,
	}
	switch p.Type {
	case runnel.EventDelta, runnel.EventReasoning:
		piece.Text, piece.Chars = p.Text, len(p.Text)
	case runnel.EventFailed:
		piece.Failure = &runnel.Failure{Kind: runnel.Unavailable.String(), Message: "the publisher did not say why"}
		if p.Failure != nil {
			piece.Failure = &runnel.Failure{
				Kind:    cmp.Or(p.Failure.Kind, piece.Failure.Kind),
				Message: cmp.Or(p.Failure.Message, piece.Failure.Message),
			}
		}
	default:
	}
	piece.Size = pieceCost + len(piece.Text) + len(p.Progress) + len(p.Data)
	if p.Key != "" {
		// Two publishers who happen to choose the same key do not meet.
		key := sha256.Sum256([]byte(runnel.PrincipalFrom(ctx).ID + "\x00" + p.Key))
		piece.Key = hex.EncodeToString(key[:])
	}
	// The log's events are one line, and so is this.
	for _, raw := range []*json.RawMessage{&piece.Progress, &piece.Data} {
		if *raw != nil {
			var line bytes.Buffer
			if err := json.Compact(&line, *raw); err != nil {
				return piece, runnel.Errorf(runnel.Invalid, "the data is not JSON").Because(err)
			}
			*raw = line.Bytes()
		}
	}
	return piece, nil
}

// put stores want behind the session's last piece, if it may stand there. It
// reports whether it was stored by an earlier call.
func (s *Service) put(ctx context.Context, p *runnel.Publication, want runnel.Piece) (stored runnel.Piece, repeated bool, err error) {
	last, err := s.engine.LastPiece(ctx, p.Session)
	if err != nil {
		return last, false, err
	}
	if want.Key != "" && last.Key == want.Key {
		return last, true, sameContents(last, want)
	}
	piece, refusal := s.place(p, want, &last)
	if refusal != nil && piece.Seq == last.Seq {
		return last, false, refusal
	}
	stored, err = s.engine.PutPiece(ctx, p.Session, piece, last.Seq)
	switch {
	case runnel.KindOf(err) == runnel.Conflict:
		return stored, false, overtakenError{err}
	case runnel.KindOf(err) == runnel.Gone:
		return stored, false, runnel.Errorf(runnel.Conflict, "the piece was published before, to a generation that has ended").Because(err)
	case err != nil:
		return stored, false, err
	case refusal != nil:
		return stored, false, refusal
	case stored.Seq <= last.Seq:
		return stored, true, sameContents(stored, want)
	}
	return stored, false, nil
}

// place says what is to be stored after last for what p says. If that is last
// itself, nothing is. The error is what the publisher is to be told.
func (s *Service) place(p *runnel.Publication, want runnel.Piece, last *runnel.Piece) (runnel.Piece, error) {
	ours := p.Generation == "" || p.Generation == last.Generation
	switch begins := p.Type == runnel.EventStarted; {
	case !begins && isOpen(last) && ours:
		return s.goOn(want, last)
	case !begins && last.Type == runnel.EventCancelled && ours:
		if p.Generation == "" && time.Since(last.Time) > s.cfg.PublishTimeout {
			break // whoever was stopped has been silent for long: this is another
		}
		return afterStop(want, last, s.cfg.PublishTimeout)
	case p.Generation != "":
		return *last, runnel.Errorf(runnel.Conflict, "this generation has ended, or is not one that is published")
	}
	if s.isDraining() {
		return *last, &runnel.Error{Kind: runnel.Unavailable, Msg: "this server is shutting down", RetryAfter: drainRetry}
	}
	want.Generation = runnel.GenerationID(ulid.Make().String())
	return want, nil
}

// isOpen reports whether the generation of the session's last piece is open.
func isOpen(last *runnel.Piece) bool { return last.Seq != 0 && !last.Type.Terminal() }

// goOn places a piece in the open generation.
func (s *Service) goOn(want runnel.Piece, last *runnel.Piece) (runnel.Piece, error) {
	want.Generation, want.First = last.Generation, cmp.Or(last.First, last.Seq)
	want.Chars += last.Chars
	want.Size += last.Size
	if want.Type.Terminal() {
		return want, nil
	}
	if want.Chars > s.cfg.MaxAnswer || want.Size > maxPieces*s.cfg.MaxAnswer {
		return *last, runnel.Errorf(runnel.Invalid, "the answer would be longer than the limit of %d bytes", s.cfg.MaxAnswer)
	}
	return want, nil
}

// afterStop refuses a piece of a generation that was stopped. A publisher who
// does not name its generation may not listen either, so the mark of the stop
// stays the session's last piece until that publisher says that it has finished,
// or has been silent for long.
func afterStop(want runnel.Piece, mark *runnel.Piece, quiet time.Duration) (runnel.Piece, error) {
	stopped := runnel.Errorf(runnel.Cancelled, "the generation was stopped")
	again := *mark
	again.Key = ""
	switch {
	case want.Type.Terminal():
		again.Type, again.Seq = want.Type, 0
	case time.Since(mark.Time) > quiet/2:
		again.Seq = 0
	}
	return again, stopped
}

// sameContents returns a Conflict unless both pieces say the same. Their data may
// differ: doors put the time of a request into it.
func sameContents(stored, want runnel.Piece) error {
	for _, p := range []*runnel.Piece{&stored, &want} {
		p.Generation, p.First, p.Chars, p.Size, p.Seq, p.Time, p.Data = "", 0, 0, 0, 0, time.Time{}, nil
	}
	a, errA := json.Marshal(stored)
	b, errB := json.Marshal(want)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		return runnel.Errorf(runnel.Conflict, "the idempotency key was used for another piece")
	}
	return nil
}

// publication returns the receipt of a stored piece. If it began a generation,
// that becomes a prompt in the queue; if a crash came between the two, the next
// piece makes up for it.
func (s *Service) publication(ctx context.Context, id runnel.SessionID, p *runnel.Piece, repeated bool) (runnel.Receipt, error) {
	receipt := runnel.Receipt{Session: id, Generation: p.Generation, Repeated: repeated}
	var ok bool
	if receipt.Cursor, ok = s.opened.get(p.Generation); ok {
		return receipt, nil
	}
	if p.First != 0 || repeated {
		g, err := s.lookup(ctx, id, p.Generation)
		if runnel.KindOf(err) != runnel.NotFound {
			if err == nil {
				s.opened.add(p.Generation, g.Cursor)
			}
			receipt.Cursor = g.Cursor
			return receipt, err
		}
	}
	first, err := s.firstPiece(ctx, id, p)
	if err != nil {
		return runnel.Receipt{}, err
	}
	prompt := runnel.Prompt{Session: id, Generation: p.Generation, Published: first.Seq, Messages: []runnel.Message{}}
	if first.Prompt != "" {
		prompt.Messages = append(prompt.Messages, runnel.TextMessage(runnel.User, first.Prompt))
	}
	// It waits for its turn in any mode but parallel: what it says is there
	// already, so there is nothing to refuse.
	if _, err := s.accept(ctx, &prompt, false); err != nil {
		return runnel.Receipt{}, err
	}
	s.opened.add(p.Generation, prompt.Cursor)
	receipt.Cursor = prompt.Cursor
	return receipt, nil
}

// firstPiece returns the first piece of p's generation.
func (s *Service) firstPiece(ctx context.Context, id runnel.SessionID, p *runnel.Piece) (runnel.Piece, error) {
	if p.First == 0 {
		return *p, nil
	}
	return s.pieceAt(ctx, id, p.First)
}

// pieceAt returns the piece with the given number, which is stored and was not
// dropped.
func (s *Service) pieceAt(ctx context.Context, id runnel.SessionID, seq uint64) (runnel.Piece, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for p, err := range s.engine.Pieces(ctx, id, seq-1) {
		if err == nil && p.Seq != seq {
			err = runnel.Errorf(runnel.Gone, "what was published is no longer kept")
		}
		return p, err
	}
	return runnel.Piece{}, ctx.Err()
}
