package memlog

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/runnelhq/runnel"
)

// pieces are those of one session.
type pieces struct {
	list    []runnel.Piece          // in order
	keys    map[string]runnel.Piece // by key; also the dropped ones
	dropped uint64                  // those before it are
	changed chan struct{}           // closed and replaced when a piece was added
}

func (e *Engine) pieces(id runnel.SessionID) *pieces {
	s := e.published[id]
	if s == nil {
		s = &pieces{keys: make(map[string]runnel.Piece), changed: make(chan struct{})}
		e.published[id] = s
	}
	return s
}

// last returns the piece that was stored last.
func (s *pieces) last() (p runnel.Piece) {
	if n := len(s.list); n > 0 {
		p = s.list[n-1]
	}
	return p
}

// LastPiece implements [runnel.Pieces].
func (e *Engine) LastPiece(ctx context.Context, id runnel.SessionID) (runnel.Piece, error) {
	if err := e.lock(ctx); err != nil {
		return runnel.Piece{}, err
	}
	defer e.mu.Unlock()
	return e.pieces(id).last(), nil
}

// PutPiece implements [runnel.Pieces]. Here keys are remembered for ever.
func (e *Engine) PutPiece(ctx context.Context, id runnel.SessionID, p runnel.Piece, after uint64) (runnel.Piece, error) {
	stored, err := copyPiece(p)
	if err != nil {
		return p, fmt.Errorf("memlog: put piece: %w", runnel.Errorf(runnel.Invalid, "the piece cannot be encoded").Because(err))
	}
	if err := e.lock(ctx); err != nil {
		return p, err
	}
	defer e.mu.Unlock()
	s := e.pieces(id)
	if s.last().Seq != after {
		return p, fmt.Errorf("memlog: put piece: %w", runnel.Errorf(runnel.Conflict, "another piece was published meanwhile"))
	}
	if earlier, ok := s.keys[p.Key]; ok && p.Key != "" {
		if earlier.Seq < s.dropped {
			return p, fmt.Errorf("memlog: put piece: %w", runnel.Errorf(runnel.Gone, "the piece was published before, to a generation that has ended"))
		}
		return earlier, nil
	}
	e.pieceCount++ // as in natslog, of all sessions
	stored.Seq, stored.Time = e.pieceCount, time.Now()
	s.list, s.keys[p.Key] = append(s.list, stored), stored
	close(s.changed)
	s.changed = make(chan struct{})
	return stored, nil
}

// copyPiece returns p as it is when it has been encoded and read back.
func copyPiece(p runnel.Piece) (c runnel.Piece, err error) {
	data, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	return c, err
}

// Pieces implements [runnel.Pieces].
func (e *Engine) Pieces(ctx context.Context, id runnel.SessionID, after uint64) iter.Seq2[runnel.Piece, error] {
	return func(yield func(runnel.Piece, error) bool) {
		for {
			if err := e.lock(ctx); err != nil {
				yield(runnel.Piece{}, err)
				return
			}
			s := e.pieces(id)
			list, changed := s.list, s.changed
			e.mu.Unlock()
			for _, p := range list {
				if p.Seq <= after {
					continue
				}
				if !yield(p, nil) {
					return
				}
				after = p.Seq
			}
			if err := wait(ctx, changed, time.Time{}); err != nil {
				yield(runnel.Piece{}, fmt.Errorf("memlog: pieces: %w", err))
				return
			}
		}
	}
}

// DropPieces implements [runnel.Pieces].
func (e *Engine) DropPieces(ctx context.Context, id runnel.SessionID, before uint64) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	s := e.pieces(id)
	for len(s.list) > 0 && s.list[0].Seq < before {
		s.list = s.list[1:]
	}
	s.dropped = max(s.dropped, before)
	return nil
}
