package natslog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// epochs says which cursors the log stands by. It is never changed.
type epochs struct {
	current string
	// intact is, for each earlier epoch, the last sequence that no start since
	// then has taken back.
	intact map[string]runnel.Seq
}

// An epochRecord is what is stored of an embedded engine's start.
type epochRecord struct {
	ID string `json:"id"`
	// Recovered is the last sequence that the log had then. What an earlier
	// epoch gave out beyond it is lost, and is given out again.
	Recovered runnel.Seq `json:"recovered"`
	Started   time.Time  `json:"started"`
}

// newEpochs returns what follows from the records, oldest first. The last one
// is the current epoch's.
func newEpochs(records []epochRecord) *epochs {
	n := len(records) - 1
	e := &epochs{current: records[n].ID, intact: make(map[string]runnel.Seq, n)}
	least := records[n].Recovered
	for i := n - 1; i >= 0; i-- {
		e.intact[records[i].ID] = least
		least = min(least, records[i].Recovered)
	}
	return e
}

func (e *epochs) cursor(seq runnel.Seq) runnel.Cursor {
	return runnel.Cursor{Epoch: e.current, Seq: seq}
}

// beginEpoch finds out which epoch this is, before anything is read or
// appended.
func (e *Engine) beginEpoch(ctx context.Context) error {
	info, err := e.conn.info(ctx, logStream, "", 0)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", logStream, err)
	}
	e.high.Store(info.State.LastSeq)
	e.mark.Store(info.State.LastSeq)
	if e.conn.remote {
		// A cluster does not tell of its crashes; all that can be seen is
		// whether this is still the same stream.
		id := strconv.FormatInt(info.Created.UnixNano(), 36)
		e.epochs.Store(&epochs{current: id})
		return nil
	}
	records, err := e.epochRecords(ctx)
	if err != nil {
		return fmt.Errorf("read the epochs: %w", err)
	}
	now := epochRecord{
		ID:        strings.ToLower(rand.Text()[:8]),
		Recovered: runnel.Seq(info.State.LastSeq),
		Started:   time.Now(),
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if _, err := e.conn.put(ctx, epochStream, epochSubject, data, noSequence, nil); err != nil {
		return fmt.Errorf("store the epoch: %w", err)
	}
	e.epochs.Store(newEpochs(append(records, now)))
	return nil
}

func (e *Engine) epochRecords(ctx context.Context) ([]epochRecord, error) {
	var records []epochRecord
	err := e.conn.each(ctx, epochStream, query{Seq: 1, NextFor: epochSubject}, func(m message) error {
		var r epochRecord
		if err := json.Unmarshal(m.data, &r); err != nil {
			return err
		}
		records = append(records, r)
		return nil
	})
	return records, err
}

// checkCursor returns a [*runnel.ResetError] for a cursor that the log has not
// given out, or has taken back.
func (e *Engine) checkCursor(ctx context.Context, c runnel.Cursor) error {
	if c.IsZero() {
		return nil
	}
	known := e.epochs.Load()
	if c.Epoch != known.current {
		intact, ok := known.intact[c.Epoch]
		switch {
		case !ok:
			return &runnel.ResetError{}
		case c.Seq > intact:
			return &runnel.ResetError{Intact: known.cursor(intact)}
		}
		return nil
	}
	if uint64(c.Seq) <= e.high.Load() {
		return nil
	}
	end, err := e.logEnd(ctx)
	if err == nil && uint64(c.Seq) > end {
		return &runnel.ResetError{}
	}
	return err
}

// logEnd returns the sequence of the log's last message, of whatever session.
func (e *Engine) logEnd(ctx context.Context) (uint64, error) {
	info, err := e.conn.info(ctx, logStream, "", 0)
	if err != nil {
		return 0, err
	}
	e.reached(info.State.LastSeq)
	return info.State.LastSeq, nil
}

// moveMark moves the mark to the log's end.
func (e *Engine) moveMark(ctx context.Context) error {
	end, err := e.logEnd(ctx)
	if err == nil {
		e.mark.Store(end)
	}
	return err
}

// reached notes that the log has this sequence.
func (e *Engine) reached(seq uint64) {
	for {
		high := e.high.Load()
		if seq <= high || e.high.CompareAndSwap(high, seq) {
			return
		}
	}
}

// kept reports whether the log still has all that came after seq: if so, no
// event after it can have been missed.
func (e *Engine) kept(ctx context.Context, seq uint64) (bool, error) {
	if seq >= e.mark.Load() {
		return true, nil
	}
	_, err := e.conn.get(ctx, logStream, query{Seq: seq + 1})
	if errors.Is(err, errNone) {
		return false, nil
	}
	return err == nil, err
}
