package apigateway

import "time"

// SetClock has the door tell another time. Nobody may be connecting.
func SetClock(h *Handler, now func() time.Time) { h.now = now }

// AppendASCII is the encoder of JSON strings that Python's clients compare.
var AppendASCII = appendASCII
