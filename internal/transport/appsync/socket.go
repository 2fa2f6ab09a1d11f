package appsync

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// A dialect is how a protocol says things on a socket. What it returns are frames.
type dialect interface {
	// message takes up a client's message.
	message(s *socket, msg []byte)
	// refused says why nothing will come of the socket.
	refused(err error) []byte

	ack(id string) []byte      // a subscription has begun; nil: that goes without saying
	framer(id string) framer   // for its data
	stopped(id string) []byte  // the client has ended it
	complete(id string) []byte // it has ended by itself
	// invalidated tells that a mutation has ended it, in the way of the protocol.
	invalidated(s *socket, id string)
	// fail says that it fails, after it was acknowledged or before.
	fail(id string, err error, acked bool) []byte

	// throttled answers a message that came too soon.
	throttled(msg []byte, err error) []byte

	executes() bool // queries and mutations may come, too
}

// A socket is one client's connection, and the subscriptions on it.
type socket struct {
	door    *Handler
	dialect dialect
	request *http.Request // of the handshake
	caller  *runnel.Principal
	bad     error // why the caller cannot have a socket
	ready   bool  // the client has said hello; of the reading goroutine
	place   *limit.Connection

	ws   *wsconn.Conn // set when it is served
	work sync.WaitGroup

	mu    sync.Mutex
	subs  map[string]*subscription
	pings pings
}

// serve makes a socket of r. Bad credentials do not hinder that: browsers do not
// show why a handshake failed, and clients would try again for ever.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, conns *wsconn.Conns, protocol string, s *socket) {
	s.door, s.subs = h, make(map[string]*subscription)
	s.request = r.Clone(context.Background()) // less what net/http keeps for the handler
	if s.caller == nil {
		s.caller = new(runnel.Principal)
	}
	if s.bad == nil {
		s.place, s.bad = h.cfg.Limits.Connect(s.caller)
	}
	if protocol != "" {
		w.Header().Set("Sec-Websocket-Protocol", protocol)
	}
	r = r.WithContext(runnel.WithPrincipal(r.Context(), s.caller))
	if err := conns.Serve(w, r, s.run); err != nil {
		s.place.Release()
		refuseHandshake(w, err)
	}
}

// run reads the client's messages.
func (s *socket) run(ws *wsconn.Conn) {
	s.ws = ws
	s.door.sockets.Store(ws, s)
	defer s.door.sockets.Delete(ws)
	defer s.place.Release()
	defer s.work.Wait()
	defer ws.Close(wsconn.Normal, "")
	if s.bad != nil {
		s.refuse()
		return
	}
	for {
		msg, err := ws.Read()
		if err != nil {
			return
		}
		if _, err := s.door.cfg.Limits.Frame(s.caller, len(msg)); err != nil {
			s.throttle(msg, err)
			continue
		}
		s.dialect.message(s, msg)
	}
}

// throttle answers a message that came too soon.
func (s *socket) throttle(msg []byte, err error) {
	s.door.cfg.Failed(runnel.KindOf(err))
	s.send(s.dialect.throttled(msg, err))
}

// refuse waits for the client's hello and tells it why there will be nothing.
func (s *socket) refuse() {
	s.door.cfg.Failed(runnel.KindOf(s.bad))
	s.ws.SetReadDeadline(time.Now().Add(initTimeout))
	_, _ = s.ws.Read() // whatever it is
	s.send(s.dialect.refused(s.bad))
}

// send queues what must not wait where the connection is read.
func (s *socket) send(frames []byte) {
	if frames != nil {
		_ = s.ws.Send(frames) // else the client is cut off, or gone
	}
}

func (s *socket) reject(id string, err error) {
	s.door.cfg.Failed(runnel.KindOf(err))
	s.send(s.dialect.fail(id, err, false))
}

// add notes a subscription, unless there are too many or its id is in use.
func (s *socket) add(sub *subscription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.subs[sub.id]; old != nil {
		if old.cancelled() {
			sub.prev = old
		} else {
			return failureError{failure{Type: "DuplicatedOperationError", Message: "Duplicated operation with id " + sub.id}}
		}
	} else if len(s.subs) >= maxSubscriptions {
		return errTooMany
	}
	s.subs[sub.id] = sub
	return nil
}

func (s *socket) remove(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs[sub.id] == sub {
		delete(s.subs, sub.id)
	}
}

// stop ends a subscription at the client's wish, and reports whether there is one.
func (s *socket) stop(id string) bool {
	s.mu.Lock()
	sub := s.subs[id]
	s.mu.Unlock()
	if sub == nil || sub.cancelled() {
		return false
	}
	sub.stopped.Store(true)
	sub.cancel(errStopped)
	return true
}

// cancelled reports whether the client has ended the subscription.
func (sub *subscription) cancelled() bool { return sub.stopped.Load() }

// authenticate returns who sends a message with credentials in it, or with those
// of the handshake, and a context that ends with them.
func (s *socket) authenticate(ctx context.Context, header map[string]string, action, target string, body []byte) (context.Context, context.CancelFunc, *runnel.Principal, error) {
	p := s.caller
	if len(header) > 0 {
		c := auth.FromHandshake(s.request, header, target, body)
		c.Action = action
		c.Context = map[string]any{"apiId": "local", "accountId": "000000000000"}
		var err error
		if p, err = s.door.cfg.Authenticate(ctx, c); err != nil {
			return nil, nil, nil, err
		}
		p = limit.ByAddress(p, s.request)
	}
	ctx, release := s.door.cfg.Bind(ctx, p)
	return ctx, release, p, nil
}
