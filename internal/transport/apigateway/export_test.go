package apigateway

import (
	"time"

	"github.com/runnelhq/runnel"
)

// SetClock has the door tell another time. Nobody may be connecting.
func SetClock(h *Handler, now func() time.Time) { h.now = now }

// Open has the door hold a connection of a session, without a client.
func Open(h *Handler, id runnel.SessionID) (note runnel.Connection, done func()) {
	c := &connection{set: h, id: h.node.connectionID(), session: id, named: true, principal: &runnel.Principal{ID: "ada"}, opened: h.now()}
	h.add(c)
	return c.note(), func() { h.remove(c) }
}

// Views returns what each built-in route makes of a fragment.
func Views() map[string]func(dst []byte, s string) []byte {
	all := make(map[string]func([]byte, string) []byte)
	for name, v := range map[string]view{
		"sendtext": &textView{}, "token": &tokenView{cursor: true}, "typed": &typedView{}, "lex": lexView{},
	} {
		all[name] = func(dst []byte, s string) []byte { return v.text(dst, s, runnel.Cursor{Epoch: "e", Seq: 1}) }
	}
	return all
}
