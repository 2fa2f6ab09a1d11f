package natslog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/runnelhq/runnel"
)

var (
	// errNone says that the stream holds no such message.
	errNone = errors.New("no such message")
	// errConflict says that a subject does not end with the expected sequence.
	errConflict = errors.New("the subject has another last sequence")
	// errInFlight says that a message with the same id is just being stored.
	errInFlight = errors.New("the same message is on its way")
	// errNoAnswer says that a request got no answer in time; the server may
	// have carried it out.
	errNoAnswer = errors.New("no answer in time")
	// errNoLeader says that a stream has no leader just now.
	errNoLeader = errors.New("the stream has no leader")
	// errCutOff says that the node has not reached the log for a while.
	errCutOff = errors.New("this node is cut off from the log")
	// errAgain says that the same call will succeed now.
	errAgain = errors.New("again")
	// errEnough ends an iteration.
	errEnough = errors.New("enough")
	// errCut says that a tail has ended, and that another may be had.
	errCut    = errors.New("the tail has ended")
	errClosed = errors.New("the engine is closed")
)

// Codes of the JetStream API. The second conflict is what a cluster says while
// another write to the subject is on its way.
const (
	codeConflict         = 10071
	codeConflictInFlight = 10164
	codeInFlight         = 10158
	codeNoMessage        = 10037
	codeNoLeader         = 10008
	codeNoPeers          = 10005
	codeNotClustered     = 10074
)

// apiError turns the error of a JetStream answer into one of ours.
func apiError(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case codeConflict, codeConflictInFlight:
		return errConflict
	case codeInFlight:
		return errInFlight
	case codeNoMessage:
		return errNone
	case codeNoLeader:
		return errNoLeader
	}
	return e
}

// fail adds to err what was being done and, unless it has one, a kind. What
// ctx caused stays as it is, for errors.Is; every other failure of NATS is one
// that may pass.
func fail(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	_, classified := errors.AsType[*runnel.Error](err)
	_, reset := errors.AsType[*runnel.ResetError](err)
	switch {
	case classified, reset,
		errors.Is(err, runnel.ErrFenced),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, errCutOff):
		err = runnel.Errorf(runnel.Unavailable, "this node is cut off from the log").Because(err)
	case errors.Is(err, nats.ErrMaxPayload):
		err = runnel.Errorf(runnel.Invalid, "too large to be stored").Because(err)
	default:
		err = runnel.Errorf(runnel.Unavailable, "the log does not answer").Because(err)
	}
	return fmt.Errorf("natslog: %s: %w", what, err)
}
