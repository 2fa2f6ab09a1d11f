package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func pieceTests() []test {
	return []test{
		{"pieces in order", testPieces},
		{"every field of a piece survives", testPieceSurvives},
		{"a piece follows the one that was seen", testPieceFollows},
		{"publishers race", testPieceRace},
		{"pieces are waited for", testPiecesWait},
		{"a repeated piece is the first", testPieceRepeated},
		{"pieces are dropped", testPiecesDropped},
		{"any session id has pieces", testPieceSessionIDs},
	}
}

// mustPut stores pieces with these texts, one after the other, and returns them.
func mustPut(t *testing.T, e runnel.Pieces, id runnel.SessionID, texts ...string) []runnel.Piece {
	t.Helper()
	last, err := e.LastPiece(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	var out []runnel.Piece
	for _, text := range texts {
		p, err := e.PutPiece(limit(t), id, runnel.Piece{Generation: "g", Type: runnel.EventDelta, Text: text}, last.Seq)
		if err != nil {
			t.Fatalf("put %q: %v", text, err)
		}
		if p.Seq <= last.Seq {
			t.Fatalf("piece %q has number %d after %d", text, p.Seq, last.Seq)
		}
		last, out = p, append(out, p)
	}
	return out
}

// takePieces reads n pieces after the given number.
func takePieces(ctx context.Context, e runnel.Pieces, id runnel.SessionID, after uint64, n int) (got []runnel.Piece, err error) {
	for p, err := range e.Pieces(ctx, id, after) {
		if err != nil {
			return got, fmt.Errorf("after %d pieces: %w", len(got), err)
		}
		if p.Seq <= after {
			return got, fmt.Errorf("after piece %d came %d", after, p.Seq)
		}
		after = p.Seq
		if got = append(got, p); len(got) == n {
			return got, nil
		}
	}
	return got, errors.New("the pieces ended without an error")
}

// wantPieces insists on these pieces after the given number, and on no more.
func wantPieces(t *testing.T, e runnel.Pieces, id runnel.SessionID, after uint64, want ...runnel.Piece) {
	t.Helper()
	var got []runnel.Piece
	if len(want) > 0 {
		var err error
		if got, err = takePieces(limit(t), e, id, after, len(want)); err != nil {
			t.Fatalf("session %q: %v", id, err)
		}
		after = got[len(got)-1].Seq
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(runnel.Piece{}, "Time")); diff != "" {
		t.Fatalf("session %q (-want +got):\n%s", id, diff)
	}
	ctx, cancel := context.WithTimeout(limit(t), moment)
	defer cancel()
	if more, err := takePieces(ctx, e, id, after, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("session %q: got %v and %v after its last piece, want nothing until the deadline", id, more, err)
	}
}

func testPieces(t *testing.T, e runnel.Engine) {
	id := newSession()
	if p, err := e.LastPiece(limit(t), id); err != nil || p.Seq != 0 {
		t.Fatalf("the last piece of none is %+v, %v", p, err)
	}
	wantPieces(t, e, id, 0)
	stored := mustPut(t, e, id, numbers(0, size(600, 50))...) // more than an engine reads at a time
	mustPut(t, e, newSession(), "of another")
	wantPieces(t, e, id, 0, stored...)
	wantPieces(t, e, id, stored[10].Seq, stored[11:]...)
	last := stored[len(stored)-1]
	wantPieces(t, e, id, last.Seq)
	got, err := e.LastPiece(limit(t), id)
	if diff := cmp.Diff(last, got, cmpopts.IgnoreFields(runnel.Piece{}, "Time")); err != nil || diff != "" || got.Time.IsZero() {
		t.Errorf("the last piece, of %v (-want +got), %v:\n%s", got.Time, err, diff)
	}
}

func testPieceSurvives(t *testing.T, e runnel.Engine) {
	id := newSession()
	want := runnel.Piece{
		Generation: newGeneration(), Type: runnel.EventDone, Text: "日本\x00\u2028 \"q\"",
		Progress: json.RawMessage(`{"a":[1]}`), StopReason: runnel.EndTurn, Usage: &runnel.Usage{InputTokens: 1, ReasoningTokens: 2},
		Failure: &runnel.Failure{Kind: "limited", Message: "no more"}, Data: json.RawMessage(`"x"`),
		Model: "theirs", Prompt: "why?", Key: "k", First: 7, Chars: 8, Size: 9,
	}
	stored, err := e.PutPiece(limit(t), id, want, 0)
	if err != nil {
		t.Fatal(err)
	}
	want.Seq = stored.Seq
	wantPieces(t, e, id, 0, want)
}

func testPieceFollows(t *testing.T, e runnel.Engine) {
	id := newSession()
	p := runnel.Piece{Generation: "g", Type: runnel.EventDelta, Text: "late"}
	_, err := e.PutPiece(limit(t), id, p, 1<<40)
	wantKind(t, err, runnel.Conflict)
	stored := mustPut(t, e, id, "0", "1")
	for _, after := range []uint64{0, stored[0].Seq, stored[1].Seq + 1} {
		_, err := e.PutPiece(limit(t), id, p, after)
		wantKind(t, err, runnel.Conflict)
	}
	wantPieces(t, e, id, 0, stored...)
}

// testPieceRace has many publish to one session at once: each is stored once.
func testPieceRace(t *testing.T, e runnel.Engine) {
	const publishers = 8
	each := size(40, 10)
	ctx, id := limit(t), newSession()
	var g errgroup.Group
	for i := range publishers {
		g.Go(func() error {
			for n := 0; n < each; {
				last, err := e.LastPiece(ctx, id)
				if err == nil {
					_, err = e.PutPiece(ctx, id, runnel.Piece{Generation: "g", Type: runnel.EventDelta, Text: fmt.Sprintf("%d/%d", i, n)}, last.Seq)
				}
				switch {
				case err == nil:
					n++
				case runnel.KindOf(err) != runnel.Conflict:
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := takePieces(ctx, e, id, 0, publishers*each)
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int, publishers)
	for _, p := range got {
		who, n, _ := strings.Cut(p.Text, "/")
		i, _ := strconv.Atoi(who)
		if n != strconv.Itoa(next[i]) {
			t.Fatalf("publisher %d's piece %s came in place of %d", i, n, next[i])
		}
		next[i]++
	}
	wantPieces(t, e, id, got[len(got)-1].Seq)
}

func testPiecesWait(t *testing.T, e runnel.Engine) {
	const readers = 8
	ctx, id, n := limit(t), newSession(), size(200, 30)
	var g errgroup.Group
	for range readers {
		g.Go(func() error {
			got, err := takePieces(ctx, e, id, 0, n)
			for i, p := range got {
				if p.Text != strconv.Itoa(i) {
					return fmt.Errorf("piece %d is %q", i, p.Text)
				}
			}
			return err
		})
	}
	mustPut(t, e, id, numbers(0, n)...)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func testPieceRepeated(t *testing.T, e runnel.Engine) {
	id, other := newSession(), newSession()
	keyed := func(text string) runnel.Piece {
		return runnel.Piece{Generation: "g", Type: runnel.EventDelta, Text: text, Key: "key " + text}
	}
	first, err := e.PutPiece(limit(t), id, keyed("a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.PutPiece(limit(t), id, keyed("b"), first.Seq)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		changed := keyed("a")
		changed.Text = "what comes second does not count"
		got, err := e.PutPiece(limit(t), id, changed, second.Seq)
		if diff := cmp.Diff(first, got, cmpopts.IgnoreFields(runnel.Piece{}, "Time")); err != nil || diff != "" {
			t.Fatalf("repeated (-want +got), %v:\n%s", err, diff)
		}
	}
	wantPieces(t, e, id, 0, first, second)
	if p, err := e.PutPiece(limit(t), other, keyed("a"), 0); err != nil || p.Seq == first.Seq {
		t.Errorf("the key in another session gave %+v and %v", p, err)
	}
	if err := e.DropPieces(limit(t), id, second.Seq); err != nil {
		t.Fatal(err)
	}
	_, err = e.PutPiece(limit(t), id, keyed("a"), second.Seq)
	wantKind(t, err, runnel.Gone)
	wantPieces(t, e, id, 0, second)
}

func testPiecesDropped(t *testing.T, e runnel.Engine) {
	id, other := newSession(), newSession()
	stored, kept := mustPut(t, e, id, numbers(0, 5)...), mustPut(t, e, other, "kept")
	for _, before := range []uint64{0, 1, stored[0].Seq} {
		if err := e.DropPieces(limit(t), id, before); err != nil {
			t.Fatal(err)
		}
		wantPieces(t, e, id, 0, stored...)
	}
	for range 2 {
		if err := e.DropPieces(limit(t), id, stored[3].Seq); err != nil {
			t.Fatal(err)
		}
		wantPieces(t, e, id, 0, stored[3:]...)
	}
	wantPieces(t, e, other, 0, kept...)
	wantPieces(t, e, id, 0, append(stored[3:], mustPut(t, e, id, "5")...)...)
	if err := e.DropPieces(limit(t), newSession(), 10); err != nil {
		t.Errorf("to drop what was never there: %v", err)
	}
}

func testPieceSessionIDs(t *testing.T, e runnel.Engine) {
	stored := make(map[runnel.SessionID][]runnel.Piece)
	for _, id := range sessionIDs() {
		stored[id] = mustPut(t, e, id, "of "+string(id))
	}
	for id, want := range stored {
		wantPieces(t, e, id, 0, want...)
	}
}

// testCrashPieces: what was published survives, and is still known by its key.
func testCrashPieces(t *testing.T, v *victim) {
	crash := v.checkpoint()
	id := newSession()
	mustAppend(t, v, id, "lost")
	stored := mustPut(t, v, id, "0", "1")
	keyed := runnel.Piece{Generation: "g", Type: runnel.EventDelta, Text: "2", Key: "k"}
	third, err := v.PutPiece(limit(t), id, keyed, stored[1].Seq)
	if err != nil {
		t.Fatal(err)
	}
	stored = append(stored, third)
	crash()
	wantPieces(t, v, id, 0, stored...)
	if got, err := v.PutPiece(limit(t), id, keyed, third.Seq); err != nil || got.Seq != third.Seq {
		t.Errorf("repeated after a crash: got %+v, %v, want piece %d", got, err, third.Seq)
	}
	stored = append(stored, mustPut(t, v, id, "3")...)
	wantPieces(t, v, id, 0, stored...)
}
