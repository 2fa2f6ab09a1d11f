package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
)

// piecePoll is how often whoever waits for a piece looks by itself: that there
// is one may have got lost.
const piecePoll = time.Second

// LastPiece implements [runnel.Pieces].
func (e *Engine) LastPiece(ctx context.Context, id runnel.SessionID) (runnel.Piece, error) {
	m, err := e.conn.last(ctx, pieceStream, piecePrefix+token(string(id)))
	if errors.Is(err, errNone) {
		return runnel.Piece{}, nil
	}
	var p runnel.Piece
	if err == nil {
		p, err = decodePiece(m)
	}
	if err != nil {
		return runnel.Piece{}, fail(err, "last piece of %s", id)
	}
	return p, nil
}

func decodePiece(m message) (runnel.Piece, error) {
	p := runnel.Piece{Seq: m.seq, Time: m.time}
	if err := json.Unmarshal(m.data, &p); err != nil {
		return runnel.Piece{}, fmt.Errorf("read a piece: %w", err)
	}
	return p, nil
}

// PutPiece implements [runnel.Pieces].
func (e *Engine) PutPiece(ctx context.Context, id runnel.SessionID, p runnel.Piece, after uint64) (runnel.Piece, error) {
	stored, err := e.putPiece(ctx, piecePrefix+token(string(id)), p, after)
	if err != nil {
		return runnel.Piece{}, fail(err, "put a piece of %s", p.Generation)
	}
	return stored, nil
}

func (e *Engine) putPiece(ctx context.Context, subject string, p runnel.Piece, after uint64) (runnel.Piece, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return p, runnel.Errorf(runnel.Invalid, "the piece cannot be encoded").Because(err)
	}
	var header nats.Header
	if p.Key != "" {
		header = nats.Header{nats.MsgIdHdr: {subject + " " + p.Key}}
	}
	var seq uint64
	for {
		seq, err = e.conn.put(ctx, pieceStream, subject, data, after, header)
		if errors.Is(err, errInFlight) && pause(ctx, retryPause) == nil {
			continue // somebody else is storing it; see what comes of that
		}
		break
	}
	switch {
	case errors.Is(err, errConflict):
		return p, runnel.Errorf(runnel.Conflict, "another piece was published meanwhile")
	case err != nil:
		return p, err
	case seq > after:
		p.Seq, p.Time = seq, time.Now()
		return p, nil
	}
	// The stream knows the key: it has answered with the number of that piece.
	m, err := e.conn.get(ctx, pieceStream, query{Seq: seq})
	if err == nil && m.seq == seq {
		return decodePiece(m)
	}
	if err == nil || errors.Is(err, errNone) {
		err = runnel.Errorf(runnel.Gone, "the piece was published before, to a generation that has ended")
	}
	return p, err
}

// Pieces implements [runnel.Pieces].
func (e *Engine) Pieces(ctx context.Context, id runnel.SessionID, after uint64) iter.Seq2[runnel.Piece, error] {
	return func(yield func(runnel.Piece, error) bool) {
		if err := e.pieces(ctx, token(string(id)), after, yield); err != nil {
			yield(runnel.Piece{}, fail(err, "pieces of %s", id))
		}
	}
}

// pieces reads until yield has had enough: then the error is nil.
func (e *Engine) pieces(ctx context.Context, session string, after uint64, yield func(runnel.Piece, error) bool) error {
	news := make(chan struct{}, 1) // there may be a piece
	sub, err := e.conn.reads.Subscribe(newPiecePrefix+session, func(*nats.Msg) {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only if the connection is closed
	poll := time.NewTicker(piecePoll)
	defer poll.Stop()
	for {
		// The server has the subscription before this question: they come over
		// the same connection.
		found, more, err := e.conn.following(ctx, pieceStream, query{Seq: after + 1, NextFor: piecePrefix + session})
		if err != nil {
			return err
		}
		for _, m := range found {
			p, err := decodePiece(m)
			if err != nil {
				return err
			}
			if !yield(p, nil) {
				return nil
			}
			after = m.seq
		}
		if more {
			continue
		}
		select {
		case <-news:
		case <-poll.C:
		case <-e.conn.closed:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// DropPieces implements [runnel.Pieces].
func (e *Engine) DropPieces(ctx context.Context, id runnel.SessionID, before uint64) error {
	if before <= 1 {
		return nil // to the server that would be all
	}
	if err := e.conn.purge(ctx, pieceStream, piecePrefix+token(string(id)), before); err != nil {
		return fail(err, "drop pieces of %s", id)
	}
	return nil
}
