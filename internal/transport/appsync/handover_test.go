package appsync_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// node starts another door to the rig's core, as another node has one.
func (r *rig) node(t testing.TB, cfg appsync.Config) *rig {
	t.Helper()
	other := &rig{engine: r.engine, core: r.core}
	other.serve(t, cfg)
	return other
}

// take subscribes under the one id.
func (r *rig) take(t testing.TB) *client {
	t.Helper()
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(startAck)
	return c
}

// A client that comes back to another node goes on where it was, there and back again.
func TestHandover(t *testing.T) {
	t.Parallel()
	m := make(model)
	cfg := func(r *rig) appsync.Config { return appsync.Config{Notes: r.engine} }
	r := start(t, m, appsync.Config{})
	one, two := r.node(t, cfg(r)), r.node(t, cfg(r))
	c := one.take(t)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	r.tell(t, m, "s", "one ")
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "))
	one.leave(c, 1)
	r.tell(t, m, "s", "two ", "three ", "four ", "five ", "six ", "seven ")

	c = two.take(t)
	c.expect(message(uuid, "s", "two three four five six seven "))
	// A node that stops hands over, too: what it has sent, and nothing twice.
	r.tell(t, m, "s", "2", "3", "4", "5", "6", "7")
	c.expect(message(uuid, "s", "234567"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := two.door.End(ctx); err != nil {
		t.Fatal(err)
	}
	r.tell(t, m, "s", "a", "b", "c", "d", "e", "f")
	c = one.take(t)
	c.expect(message(uuid, "s", "abcdef"))
	close(m)
	c.expect(message(uuid, "s", "#END_STREAM#"))
}

// What a node remembers is void when the client has been elsewhere since, even if
// nothing was noted there: after a crash the answer begins anew, with its marker.
func TestHandoverIsNotStale(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	one := r.node(t, appsync.Config{Notes: r.engine})
	crash := r.node(t, appsync.Config{Notes: forgetful{r.engine}})
	c := one.take(t)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	r.tell(t, m, "s", "one ")
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "))
	one.leave(c, 1)

	c = crash.take(t)
	r.tell(t, m, "s", "a", "b", "c", "d", "e", "f")
	c.expect(message(uuid, "s", "abcdef"))
	crash.leave(c, 1)
	for end := time.Now().Add(patience); one.door.Remembered() > 0; runtime.Gosched() { // it hears of it a moment later
		if time.Now().After(end) {
			t.Fatal("the first node still knows where the subscription was")
		}
	}

	c = one.take(t)
	c.expect(message(uuid, "s", "#START_STREAM#"))
	got := messageOf(t, c.read())
	for got != "one abcdef" && strings.HasPrefix("one abcdef", got) {
		got += messageOf(t, c.read())
	}
	if got != "one abcdef" {
		t.Errorf("got %q", got)
	}
	close(m)
	c.expect(message(uuid, "s", "#END_STREAM#"))
}

// A forgetful node takes notes, and leaves none: as one that is killed.
type forgetful struct{ runnel.Notes }

func (f forgetful) Note(ctx context.Context, key string, data []byte) error {
	if data == nil {
		return f.Notes.Note(ctx, key, nil)
	}
	return errors.New("killed")
}

// A connection that is dead, but not known to be, does not leave a note either when
// the client is elsewhere already.
func TestHandoverOfTheHalfDead(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{})
	one, two := r.node(t, appsync.Config{Notes: r.engine}), r.node(t, appsync.Config{Notes: r.engine})
	old := one.take(t)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s"}`)
	r.tell(t, m, "s", "one ")
	old.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "))

	c := two.take(t)
	c.expect(message(uuid, "s", "#START_STREAM#"), message(uuid, "s", "one "))
	old.expect(`{"type":"complete","id":"` + uuid + `"}`)
	one.leave(old, 1)
	r.tell(t, m, "s", "a", "b", "c", "d", "e", "f")
	c.expect(message(uuid, "s", "abcdef"))
	two.leave(c, 1)
	c = one.take(t)
	r.tell(t, m, "s", "1", "2", "3", "4", "5", "6")
	c.expect(message(uuid, "s", "123456"))
	close(m)
	c.expect(message(uuid, "s", "#END_STREAM#"))
}
