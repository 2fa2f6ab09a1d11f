package appsync

import "time"

// DecodeHeader is decodeHeader.
func DecodeHeader(coded string) (map[string]string, error) { return decodeHeader(coded) }

// KeepReserved sets how long a stream may take to be opened.
func (h *Handler) KeepReserved(d time.Duration) { h.reservations.unused = d }

// Remembered returns of how many subscriptions the door knows where they were.
func (h *Handler) Remembered() int {
	h.places.mu.Lock()
	defer h.places.mu.Unlock()
	return len(h.places.byKey)
}

// Live returns how many subscriptions to a field there are that a mutation can end.
func (h *Handler) Live(field string) int {
	h.invalid.mu.Lock()
	defer h.invalid.mu.Unlock()
	return len(h.invalid.live[field])
}
