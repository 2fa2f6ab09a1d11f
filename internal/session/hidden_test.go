package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/session"
)

// What a user is told of another's session and of one that nobody has used
// must be the same to the byte.
func TestForeignLooksMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := memlog.New()
		n := start(t, engine, only(says(0, "secret")), session.Config{})
		ann, bob := as(t, "ann"), as(t, "bob")
		r := mustSubmit(ann, t, n, "hi")
		n.await(t, r)
		end, err := engine.End(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		void := runnel.Cursor{Epoch: end.Epoch, Seq: end.Seq + 1000}
		tell := func(id runnel.SessionID, gen runnel.GenerationID) string {
			ctx, cancel := context.WithTimeout(bob, time.Minute)
			defer cancel()
			var out []any
			tr, err := n.Transcript(ctx, id)
			out = append(out, tr, fmt.Sprint(err))
			tr, err = n.Active(ctx, id)
			out = append(out, tr, fmt.Sprint(err))
			at, err := n.End(ctx, id)
			out = append(out, at, fmt.Sprint(err))
			g, err := n.Generation(ctx, gen)
			out = append(out, g, fmt.Sprint(err))
			g, err = n.Cancel(ctx, gen)
			out = append(out, g, fmt.Sprint(err))
			for _, after := range []runnel.Cursor{void, {Epoch: "another", Seq: 1}, end, {}} {
				events, err := n.Read(ctx, id, after)
				out = append(out, events, errors.Is(err, context.DeadlineExceeded))
			}
			data, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			return string(bytes.ReplaceAll(data, []byte(`"`+id+`"`), []byte(`"ID"`)))
		}
		// The missing one is asked for first: being asked for must not make it anybody's.
		missing := tell("nobody's", "01JZ0000000000000000000000")
		if diff := cmp.Diff(missing, tell("s", r.Generation)); diff != "" {
			t.Errorf("foreign (-missing +foreign):\n%s", diff)
		}
		wantOwner(t, n, "nobody's", "")
		engine.Crash(2)
		void = end
		missing = tell("nobody's", "01JZ0000000000000000000000")
		if diff := cmp.Diff(missing, tell("s", r.Generation)); diff != "" {
			t.Errorf("foreign after a crash (-missing +foreign):\n%s", diff)
		}
	})
}

// A counting engine notes what it is asked.
type counting struct {
	*memlog.Engine
	mu    sync.Mutex
	calls []string
}

func (c *counting) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *counting) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

func (c *counting) Own(ctx context.Context, id runnel.SessionID, owner string) (string, error) {
	c.note("own")
	return c.Engine.Own(ctx, id, owner)
}

func (c *counting) Locate(ctx context.Context, gen runnel.GenerationID) (runnel.SessionID, error) {
	c.note("locate")
	return c.Engine.Locate(ctx, gen)
}

func (c *counting) Run(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) (runnel.Run, error) {
	c.note("run")
	return c.Engine.Run(ctx, id, gen)
}

func (c *counting) End(ctx context.Context, id runnel.SessionID) (runnel.Cursor, error) {
	c.note("end")
	return c.Engine.End(ctx, id)
}

// A foreign session must take as long as a missing one, which is to say that
// the same is asked of the engine; also when this node knows its owner and works
// on its generation.
func TestForeignCostsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := &counting{Engine: memlog.New()}
		n := start(t, engine, only(hangs("a")), session.Config{})
		ann, bob := as(t, "ann"), as(t, "bob")
		r := mustSubmit(ann, t, n, "hi")
		n.until(t, r, isDelta)
		synctest.Wait()
		limited := runnel.WithPrincipal(t.Context(), &runnel.Principal{ID: "bob", Grants: []runnel.Grant{
			{Actions: []runnel.Action{runnel.Read, runnel.Cancel}, Sessions: []string{"s*"}},
		}})
		calls := func(ctx context.Context, id runnel.SessionID, gen runnel.GenerationID) []string {
			engine.take()
			_, _ = n.Generation(ctx, gen)
			_, _ = n.Cancel(ctx, gen)
			_, _ = n.Transcript(ctx, id)
			_, _ = n.Active(ctx, id)
			_, _ = n.End(ctx, id)
			return engine.take()
		}
		for _, ctx := range []context.Context{bob, limited} {
			missing := calls(ctx, "s-missing", "01JZ0000000000000000000000")
			if diff := cmp.Diff(missing, calls(ctx, "s", r.Generation)); diff != "" {
				t.Errorf("asked of the engine (-missing +foreign):\n%s", diff)
			}
		}
		if got := calls(asService(t), "s", r.Generation); slices.Contains(got, "own") || slices.Contains(got, "locate") {
			t.Errorf("a service's calls need %v", got)
		}
	})
}
