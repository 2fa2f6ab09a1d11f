package wsconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/runnelhq/runnel"
)

// Close codes (RFC 6455, section 7.4, and the registry that it opened).
const (
	Normal      = 1000
	GoingAway   = 1001
	Protocol    = 1002 // a frame that breaks the rules
	Unsupported = 1003 // a binary message
	NoStatus    = 1005 // never sent: the close frame had no code
	Abnormal    = 1006 // never sent: there was no close frame
	BadData     = 1007 // text that is not UTF-8
	Policy      = 1008
	TooBig      = 1009
	Failed      = 1011 // a fault of ours
	TryAgain    = 1013 // also for clients that read too slowly
)

// Why a connection ends by itself, for [Config.Farewell]; credentials that end
// are a [*runnel.Error] instead.
var (
	ErrIdle   = errors.New("wsconn: no message for too long")
	ErrOld    = errors.New("wsconn: the connection has lasted as long as it may")
	ErrEnding = errors.New("wsconn: the server is stopping")
)

// What a write may return.
var (
	// ErrSlow means that the client has not read enough for the queue to take
	// more. Nothing was queued.
	ErrSlow = errors.New("wsconn: the client's queue is full")
	// ErrClosed means that the connection is closed, or about to be.
	ErrClosed = errors.New("wsconn: the connection is closed")
)

// A CloseError says how a connection has ended.
type CloseError struct {
	Code   int    // of the close frame; NoStatus or Abnormal if there was none
	Reason string // that came with it
	Remote bool   // the client began
	Err    error  // what led to it, for the log; may be nil
}

// Error names the code.
func (e *CloseError) Error() string {
	s := fmt.Sprintf("wsconn: closed with %d", e.Code)
	if e.Reason != "" {
		s += " " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Err }

// CloseCode returns the code and the reason for a connection that ends because
// of err.
func CloseCode(err error) (code int, reason string) {
	switch {
	case errors.Is(err, ErrIdle), errors.Is(err, ErrOld), errors.Is(err, ErrEnding):
		return GoingAway, "Going away"
	}
	reason = runnel.PublicMessage(err)
	switch runnel.KindOf(err) {
	case runnel.Invalid:
		return 4400, reason
	case runnel.Unauthenticated:
		return 4401, reason
	case runnel.Denied:
		return 4403, reason
	case runnel.Limited, runnel.Unavailable:
		return TryAgain, reason
	case runnel.Cancelled:
		return Normal, reason
	case runnel.NotFound, runnel.Conflict, runnel.Gone, runnel.Internal:
	}
	return Failed, reason
}

// maxReason is what a close frame has room for beside the code.
const maxReason = ws.MaxControlFramePayloadSize - 2

func appendClose(dst []byte, code int, reason string) []byte {
	if code == NoStatus {
		return appendControl(dst, ws.OpClose, nil)
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	dst = appendHeader(dst, ws.OpClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// parseClose returns what a client's close frame says, or what is wrong with it.
func parseClose(payload []byte) (code int, reason string, err error) {
	if len(payload) == 0 {
		return NoStatus, "", nil
	}
	if len(payload) == 1 {
		return 0, "", failure{Protocol, "close frame with half a code"}
	}
	code, text := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !validCode(code) {
		return 0, "", failure{Protocol, "close code that may not be sent"}
	}
	if !utf8.Valid(text) {
		return 0, "", failure{BadData, "close reason is not UTF-8"}
	}
	return code, string(text), nil
}

// validCode reports whether a close frame may have the code: one of those that
// the registry has defined, or of those for libraries and applications.
func validCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == NoStatus, code == Abnormal:
		return false
	}
	return code >= 1000 && code <= 1014
}

// A failure is something the client did that ends the connection.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }
