package admin_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/transport/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A core has the same generations on every node, and works on some of them.
type core struct {
	runnel.Sessions
	live     []runnel.Run
	progress map[runnel.GenerationID]int

	mu      sync.Mutex
	stopped []runnel.GenerationID
}

func (c *core) Live(_ context.Context, limit int) ([]runnel.Run, error) {
	return slices.Clone(c.live[:min(limit, len(c.live))]), nil
}
func (c *core) Progress(int) map[runnel.GenerationID]int { return c.progress }
func (c *core) Cancel(_ context.Context, gen runnel.GenerationID) (runnel.Generation, error) {
	if gen == "unknown" {
		return runnel.Generation{}, runnel.Errorf(runnel.NotFound, "no such generation")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = append(c.stopped, gen)
	return runnel.Generation{ID: gen, State: runnel.Running, Cancelling: true}, nil
}

// An audit notes what it is told.
type audit struct {
	mu    sync.Mutex
	lines []string
}

func (a *audit) Denied(p *runnel.Principal, action runnel.Action, _ runnel.SessionID, reason string, _ int) {
	a.note("denied " + p.ID + " " + string(action) + " " + reason)
}

func (a *audit) Acted(_ context.Context, principal, action, target string) {
	a.note("acted " + principal + " " + action + " " + target)
}

func (a *audit) note(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line)
}

// start runs the door of one node until the test is over.
func start(t *testing.T, engine *memlog.Engine, node string, open bool, c *core, a *audit) http.Handler {
	t.Helper()
	h := admin.New(c, admin.Config{
		Open: open, Core: c, Depth: func(context.Context) (int, error) { return len(c.live), nil }, Bus: listening{engine, make(chan struct{}), new(sync.Once)},
		Node: node, Figures: func() (any, error) { return map[string]string{"of": node}, nil }, Audit: a, Logger: slog.New(slog.DiscardHandler),
	})
	mux := http.NewServeMux()
	h.Register(mux.Handle)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return mux
}

// listening waits with what is said until somebody listens.
type listening struct {
	runnel.Bus
	ready chan struct{}
	once  *sync.Once
}

func (l listening) Listen(ctx context.Context, _ func(), f func(string, []byte)) error {
	return l.Bus.Listen(ctx, func() { l.once.Do(func() { close(l.ready) }) }, f)
}

func (l listening) Broadcast(topic string, data []byte) error {
	<-l.ready
	return l.Bus.Broadcast(topic, data)
}

func ask(t *testing.T, h http.Handler, method, path, remote string, p *runnel.Principal) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.RemoteAddr = remote
	if p != nil {
		r = r.WithContext(runnel.WithPrincipal(r.Context(), p))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const here, elsewhere = "127.0.0.1:5", "192.0.2.1:5"

var root = &runnel.Principal{ID: "key:root", Grants: []runnel.Grant{{Actions: []runnel.Action{runnel.Admin}}}}

// TestOverview asks one of two nodes.
func TestOverview(t *testing.T) {
	t.Parallel()
	engine := memlog.New()
	accepted := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	live := []runnel.Run{
		{Session: "s", Generation: "g1", State: runnel.Running, Attempt: 2, Owner: "a", Model: "echo", Accepted: accepted, Started: accepted},
		{Session: "s", Generation: "g2", State: runnel.Running, Attempt: 1, Owner: "b", Model: "echo", Accepted: accepted, Cancel: true},
		{Session: "t", Generation: "g3", State: runnel.Queued, Accepted: accepted},
	}
	a := start(t, engine, "a", false, &core{live: live, progress: map[runnel.GenerationID]int{"g1": 7}}, &audit{})
	start(t, engine, "b", false, &core{live: live, progress: map[runnel.GenerationID]int{"g1": 3, "g2": 8}}, &audit{})

	type node struct {
		Node    string
		Figures map[string]string
	}
	var got struct {
		Node        string
		QueueDepth  int `json:"queue_depth"`
		Generations []map[string]any
		Nodes       []node
	}
	for len(got.Nodes) < 2 { // the other may take longer to answer than the first overview waits
		w := ask(t, a, "GET", "/v1/admin/overview", elsewhere, root)
		if w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
	}
	const at = "2026-01-02T03:04:05Z"
	want := []map[string]any{
		{"generation": "g1", "session": "s", "state": "running", "attempt": 2.0, "model": "echo", "node": "a", "fragments": 7.0, "accepted_at": at, "started_at": at},
		{"generation": "g2", "session": "s", "state": "running", "attempt": 1.0, "model": "echo", "node": "b", "fragments": 8.0, "accepted_at": at, "cancelling": true},
		{"generation": "g3", "session": "t", "state": "queued", "attempt": 0.0, "fragments": 0.0, "accepted_at": at},
	}
	if diff := cmp.Diff(want, got.Generations); diff != "" || got.QueueDepth != 3 || got.Node != "a" {
		t.Errorf("%q, depth %d, generations (-want +got):\n%s", got.Node, got.QueueDepth, diff)
	}
	if diff := cmp.Diff([]node{{"a", map[string]string{"of": "a"}}, {"b", map[string]string{"of": "b"}}}, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// TestAccess is who may use the door, and what the audit log says of it.
func TestAccess(t *testing.T) {
	t.Parallel()
	some := &runnel.Principal{ID: "key:some", Grants: []runnel.Grant{{Actions: []runnel.Action{runnel.Admin}, Sessions: []string{"*"}}}}
	user := &runnel.Principal{ID: "key:ann"}
	for _, tt := range []struct {
		name   string
		open   bool
		remote string
		p      *runnel.Principal
		code   int
		audit  string
	}{
		{"an administrator", false, elsewhere, root, 200, "acted key:root stop g"},
		{"an administrator of some sessions", false, here, some, 403, "denied key:some admin grants"},
		{"a user", false, here, user, 403, "denied key:ann admin grants"},
		{"nobody is asked, and it is this machine", true, here, nil, 200, "acted  stop g"},
		{"nobody is asked, by IPv6", true, "[::1]:5", nil, 200, "acted  stop g"},
		{"nobody is asked, and it is another machine", true, elsewhere, nil, 403, "denied  admin not_this_machine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, a := new(core), new(audit)
			h := start(t, memlog.New(), "a", tt.open, c, a)
			if w := ask(t, h, "POST", "/v1/admin/generations/g/cancel", tt.remote, tt.p); w.Code != tt.code {
				t.Errorf("stop: %d %s", w.Code, w.Body)
			}
			if (len(c.stopped) == 1) != (tt.code == 200) {
				t.Errorf("stopped %v", c.stopped)
			}
			if diff := cmp.Diff([]string{tt.audit}, a.lines); diff != "" {
				t.Errorf("the audit log (-want +got):\n%s", diff)
			}
			if w := ask(t, h, "GET", "/v1/admin/overview", tt.remote, tt.p); w.Code != tt.code {
				t.Errorf("overview: %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestStopUnknown stops nothing, and says nothing of it in the audit log.
func TestStopUnknown(t *testing.T) {
	t.Parallel()
	a := new(audit)
	h := start(t, memlog.New(), "a", false, new(core), a)
	if w := ask(t, h, "POST", "/v1/admin/generations/unknown/cancel", here, root); w.Code != http.StatusNotFound || len(a.lines) > 0 {
		t.Errorf("%d %s, audit %v", w.Code, w.Body, a.lines)
	}
}
