package appsync

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// pings are what a socket finds out by them: that a client has got what was
// sent before. What the kernel has taken says nothing, for a network that is gone
// is noticed late. There is one ping under way at a time.
type pings struct {
	last    uint64 // number of the newest
	pending bool   // it has not been answered
}

// write sends frames of a subscription, with a ping behind them if what the client
// gets is remembered and no ping is under way.
func (s *socket) write(ctx context.Context, sub *subscription, frames []byte) error {
	k := sub.keeper.Load()
	if k == nil {
		return s.ws.Write(ctx, frames)
	}
	number := s.nextPing()
	if number > 0 {
		frames = appendPing(frames, number)
	}
	if err := s.ws.Write(ctx, frames); err != nil {
		return err
	}
	k.sent()
	if number > 0 {
		k.asked(number, s.door.now())
	}
	return nil
}

func appendPing(dst []byte, number uint64) []byte {
	return wsconn.AppendPing(dst, binary.BigEndian.AppendUint64(nil, number))
}

// nextPing returns the number of a ping that is to be sent now; 0: none is.
func (s *socket) nextPing() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pings.pending {
		return 0
	}
	s.pings.pending = true
	s.pings.last++
	return s.pings.last
}

// pong takes up the answer to a ping, and asks again if more was sent meanwhile.
func (h *Handler) pong(c *wsconn.Conn, payload []byte) {
	found, ok := h.sockets.Load(c)
	if !ok || len(payload) != 8 {
		return
	}
	s := found.(*socket) //nolint:forcetypeassert // nothing else is stored there
	number := binary.BigEndian.Uint64(payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pings.pending || number != s.pings.last {
		return
	}
	more := false
	for _, sub := range s.subs {
		if k := sub.keeper.Load(); k != nil && k.confirm(number) {
			more = true
		}
	}
	s.pings.pending = more
	if !more {
		return
	}
	s.pings.last++
	for _, sub := range s.subs {
		if k := sub.keeper.Load(); k != nil {
			k.asked(s.pings.last, time.Now())
		}
	}
	s.send(appendPing(nil, s.pings.last))
}
