package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// headerAdd is what to add to a counter.
const headerAdd = "Nats-Incr"

// Count implements [runnel.Counters]. The server adds; it recognizes an id for
// as long as a prompt's.
func (e *Engine) Count(ctx context.Context, key, id string, n int64) (total int64, err error) {
	subject := countSubject(key)
	if n != 0 {
		total, err = e.add(ctx, subject, id, n)
	}
	if n == 0 || errors.Is(err, errCounted) {
		total, err = e.counted(ctx, subject)
	}
	if err != nil {
		return 0, fail(err, "count")
	}
	return total, nil
}

// errCounted says that the id has counted before.
var errCounted = errors.New("it has been counted")

func (e *Engine) add(ctx context.Context, subject, id string, n int64) (total int64, err error) {
	header := nats.Header{
		headerAdd: {fmt.Sprintf("%+d", n)},
		// The server knows ids by stream, we by counter.
		nats.MsgIdHdr: {hash(subject + " " + id)},
	}
	for {
		err = e.conn.insist(ctx, func() error {
			answer, err := request(ctx, e.conn.nc, &nats.Msg{Subject: subject, Header: header})
			if err == nil {
				total, err = parseCount(answer.Data)
			}
			return err
		})
		if errors.Is(err, errInFlight) && pause(ctx, retryPause) == nil {
			continue
		}
		return total, err
	}
}

func parseCount(data []byte) (int64, error) {
	var ack struct {
		Value     string              `json:"val"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("read the answer: %w", err)
	case ack.Error != nil:
		return 0, apiError(ack.Error)
	case ack.Duplicate:
		return 0, errCounted
	}
	return strconv.ParseInt(ack.Value, 10, 64)
}

// counted returns what a counter stands at.
func (e *Engine) counted(ctx context.Context, subject string) (int64, error) {
	m, err := e.conn.last(ctx, countStream, subject)
	if errors.Is(err, errNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var stored struct {
		Value string `json:"val"`
	}
	if err := json.Unmarshal(m.data, &stored); err != nil {
		return 0, fmt.Errorf("read a counter: %w", err)
	}
	return strconv.ParseInt(stored.Value, 10, 64)
}
