package lex

import (
	"strings"
	"testing"
	"time"
)

// What is kept of sessions is bounded, and ends.
func TestAttributes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := newAttributes(func() time.Time { return now })
	large := map[string]string{"a": strings.Repeat("x", maxAttributes/3)}
	for _, name := range []string{"1", "2"} {
		a.put(key{session: name}, large)
	}
	a.put(key{session: "1"}, large) // which makes it the younger one
	a.put(key{session: "3"}, large)
	if a.get(key{session: "2"}) != nil || a.get(key{session: "1"}) == nil || a.get(key{session: "3"}) == nil {
		t.Error("it is not the oldest that has gone")
	}
	now = now.Add(attributesLife)
	if a.get(key{session: "1"}) != nil {
		t.Error("a quiet session is kept for ever")
	}
	a.forget(key{session: "3"})
	if a.size != 0 || len(a.byKey) != 0 || a.recent.Len() != 0 {
		t.Errorf("left: %d bytes, %d, %d", a.size, len(a.byKey), a.recent.Len())
	}
}
