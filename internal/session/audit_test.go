package session_test

import (
	"context"
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

// A heard audit keeps what it is told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) Denied(p *runnel.Principal, action runnel.Action, id runnel.SessionID, reason string, times int) {
	h.add(fmt.Sprintf("%s may not %s %q: %s, %d", p.ID, action, id, reason, times))
}

func (h *heard) Overrode(p *runnel.Principal, action runnel.Action, id runnel.SessionID, times int) {
	h.add(fmt.Sprintf("%s did %s %q, %d", p.ID, action, id, times))
}

func (h *heard) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

// take returns what has been heard since it was asked last, sorted.
func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.lines
	h.lines = nil
	slices.Sort(lines)
	return lines
}

func asAdmin(t testing.TB, actions ...runnel.Action) context.Context {
	return runnel.WithPrincipal(t.Context(), &runnel.Principal{
		ID: "root", Grants: []runnel.Grant{{Actions: append(actions, runnel.Admin)}},
	})
}

// use asks for everything that can be asked of a session.
func use(ctx context.Context, n node, id runnel.SessionID, gen runnel.GenerationID) {
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, _ = n.Read(short, id, runnel.Cursor{})
	_, _ = n.Transcript(ctx, id)
	_, _ = n.End(ctx, id)
	_, _ = n.Generation(ctx, gen)
	_, _ = n.Cancel(ctx, gen)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var audit heard
		n := start(t, memlog.New(), only(says(time.Second, "secret")), session.Config{Audit: &audit})
		time.Sleep(500 * time.Millisecond) // between two reports
		r := mustSubmit(as(t, "ann"), t, n, "hi")
		n.await(t, r)
		use(as(t, "ann"), n, "s", r.Generation)
		use(asService(t), n, "s", r.Generation)
		use(as(t, "bob"), n, "nobody's", "01JZ0000000000000000000000")
		time.Sleep(5 * time.Second)
		if lines := audit.take(); len(lines) > 0 {
			t.Errorf("of what is allowed, or not there, the audit heard %q", lines)
		}

		reader := runnel.Grant{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"other"}}
		for _, tt := range []struct {
			who  context.Context
			want []string
		}{
			{as(t, "bob"), []string{
				`bob may not cancel "s": another_owner, 1`,
				`bob may not read "s": another_owner, 1`, // while it waits
				`bob may not read "s": another_owner, 3`,
				`bob may not submit "s": another_owner, 1`,
			}},
			{asService(t, reader), []string{
				`backend may not cancel "s": grants, 1`,
				`backend may not read "s": grants, 1`,
				`backend may not read "s": grants, 3`,
				`backend may not submit "s": grants, 1`,
			}},
		} {
			use(tt.who, n, "s", r.Generation)
			_, _ = n.Submit(tt.who, ask("mine"))
			time.Sleep(5 * time.Second)
			if diff := cmp.Diff(tt.want, audit.take()); diff != "" {
				t.Errorf("the audit (-want +got):\n%s", diff)
			}
		}
	})
}

// An administrator sees and stops what is another's, owns none of it, and is
// not let in to add to it.
func TestAdministrators(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var audit heard
		n := start(t, memlog.New(), only(says(time.Minute, "secret")), session.Config{Audit: &audit})
		time.Sleep(500 * time.Millisecond)
		root := asAdmin(t, runnel.Submit)
		r := mustSubmit(as(t, "ann"), t, n, "hi")
		mustRead(root, t, n, "s")
		if tr := transcript(root, t, n, "s"); len(tr.Active) != 1 {
			t.Errorf("an administrator sees %+v", tr)
		}
		_, err := n.Submit(root, ask("mine"))
		wantKind(t, "submit", err, runnel.NotFound)
		if g, err := n.Cancel(root, r.Generation); err != nil || !g.Cancelling {
			t.Errorf("cancel: %+v, %v", g, err)
		}
		if end := n.await(t, r); end[len(end)-1].Type != runnel.EventCancelled {
			t.Errorf("the generation ends with %s", shape(end))
		}
		time.Sleep(5 * time.Second)
		want := []string{`root did cancel "s", 1`, `root did read "s", 2`, `root may not submit "s": another_owner, 1`}
		if diff := cmp.Diff(want, audit.take()); diff != "" {
			t.Errorf("the audit (-want +got):\n%s", diff)
		}
		_, err = n.Generation(root, "01JZ0000000000000000000000")
		wantKind(t, "a generation that is not there", err, runnel.NotFound)

		free := ask("hi")
		free.Prompt.Session = "free"
		if _, err := n.Submit(asService(t), free); err != nil {
			t.Fatal(err)
		}
		mustRead(root, t, n, "free")
		wantOwner(t, n, "free", "")
		wantOwner(t, n, "s", "ann")
	})
}
