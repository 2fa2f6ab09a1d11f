package appsync

import (
	"fmt"
	"testing"
	"time"
)

// What was sent long before the end, and not confirmed, is sent again; what was sent
// just before is not; and a client that answers no pings is believed to have all.
func TestKeeperPlace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		name           string
		answers, later bool // the first ping is answered; the second is sent
		silence        time.Duration
		want           int
	}{
		{"all confirmed", true, false, time.Hour, 1},
		{"cut off at once", true, true, time.Millisecond, 2},
		{"silent for long", true, true, time.Minute, 1},
		{"never answers", false, true, time.Minute, 2},
	} {
		ps := newPlaces()
		k, before := ps.keep("k", func() {}, now)
		if before != nil {
			t.Fatalf("%s: it is known already", tt.name)
		}
		send := func(version int, number uint64) {
			k.reach(&place{version: version})
			k.sent()
			k.asked(number, now)
		}
		k.begin(&place{})
		send(1, 1)
		if tt.answers {
			k.confirm(1)
		}
		if tt.later {
			send(2, 2)
		}
		ended := false
		k.stop = func() { ended = true }
		_, before = ps.keep("k", func() {}, now.Add(tt.silence))
		at, known := before.place(now.Add(tt.silence))
		if !known || at.version != tt.want || !ended {
			t.Errorf("%s: goes on at %d (%v), want %d; the old one has ended: %v", tt.name, at.version, known, tt.want, ended)
		}
	}
}

// What is remembered is bounded, in number, size and time.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	end := func(ps *places, key string, text int) {
		k, _ := ps.keep(key, func() {}, now)
		at := place{}
		_, _ = at.text.Add(string(make([]byte, text)))
		k.begin(&at)
		ps.end(k, false, now)
	}
	ps := newPlaces()
	for i := range maxPlaces + 10 {
		end(ps, fmt.Sprint(i), 0)
	}
	if n := ps.order.Len(); n != maxPlaces || len(ps.byKey) != n {
		t.Errorf("%d and %d are remembered", n, len(ps.byKey))
	}
	ps = newPlaces()
	for i := range 10 {
		end(ps, fmt.Sprint(i), maxPlaceSize/4)
	}
	if n := ps.order.Len(); n != 4 || ps.size != maxPlaceSize {
		t.Errorf("%d are remembered, with %d bytes", n, ps.size)
	}
	ps.trim(now.Add(memory + time.Second))
	if n := ps.order.Len(); n != 0 || ps.size != 0 || len(ps.byKey) != 0 {
		t.Errorf("%d are remembered after their time, with %d bytes", n, ps.size)
	}
	k, _ := ps.keep("stopped", func() {}, now)
	k.begin(&place{})
	ps.end(k, true, now)
	if n := ps.order.Len(); n != 0 {
		t.Errorf("one that was stopped is remembered")
	}
}
