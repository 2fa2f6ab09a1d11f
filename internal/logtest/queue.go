package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

// queueTests are the cases that dequeue. They run one after the other, because
// a queue gives its prompts to whoever asks.
func queueTests() []test {
	tests := []test{
		{"every field survives", testPromptSurvives},
		{"oldest first", testQueueOrder},
		{"a generation is stored once", testStoredOnce},
		{"exclusive", testExclusive},
		{"exclusive in a race", testExclusiveRace},
		{"find", testFind},
		{"waiting", testWaiting},
		{"at most a thousand are waiting", testWaitingLimit},
		{"any session id works", testQueueSessionIDs},
		{"prompts are counted by account", testActive},
		{"pending", testPending},
	}
	tests = append(tests, leaseTests()...)
	for i := range tests {
		run := tests[i].run
		tests[i].run = func(t *testing.T, e runnel.Engine) {
			defer wantDepth(t, e, 0)
			defer empty(t, e)
			run(t, e)
		}
	}
	return tests
}

func newPrompt(id runnel.SessionID) runnel.Prompt {
	return runnel.Prompt{
		Session:    id,
		Generation: newGeneration(),
		Messages:   []runnel.Message{runnel.TextMessage(runnel.User, "hello")},
		AcceptedAt: time.Now().UTC(),
	}
}

// mustEnqueue stores n new prompts of a session.
func mustEnqueue(t *testing.T, e runnel.Queue, id runnel.SessionID, n int) []runnel.Prompt {
	t.Helper()
	prompts := make([]runnel.Prompt, n)
	for i := range prompts {
		prompts[i] = newPrompt(id)
		if err := e.Enqueue(limit(t), prompts[i], false); err != nil {
			t.Fatalf("enqueue: %v", err)
		}
	}
	return prompts
}

// mustDequeue leases a prompt, and insists that it is the one wanted.
func mustDequeue(t *testing.T, e runnel.Queue, want runnel.Prompt) runnel.Lease {
	t.Helper()
	l, err := e.Dequeue(limit(t))
	if err != nil {
		t.Fatalf("dequeue: %v", err)
	}
	if diff := cmp.Diff(want, l.Prompt()); diff != "" {
		t.Fatalf("leased prompt (-want +got):\n%s", diff)
	}
	return l
}

func mustRemove(t *testing.T, leases ...runnel.Lease) {
	t.Helper()
	for _, l := range leases {
		if err := l.Remove(limit(t)); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
}

// wantNoPrompt insists that there is nothing to dequeue.
func wantNoPrompt(t *testing.T, e runnel.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(limit(t), moment)
	defer cancel()
	if l, err := e.Dequeue(ctx); !errors.Is(err, context.DeadlineExceeded) {
		if err == nil {
			t.Fatalf("dequeue gave %s, want nothing until the deadline", l.Prompt().Generation)
		}
		t.Fatalf("dequeue: %v, want nothing until the deadline", err)
	}
}

func wantDepth(t *testing.T, e runnel.Queue, want int) {
	t.Helper()
	got, err := e.Depth(limit(t))
	if err != nil {
		t.Fatalf("depth: %v", err)
	}
	if got != want {
		t.Errorf("depth is %d, want %d", got, want)
	}
}

// empty removes every prompt, also those whose lease a case has left behind.
func empty(t *testing.T, e runnel.Queue) {
	t.Helper()
	ctx := limit(t)
	for {
		n, err := e.Depth(ctx)
		if err != nil {
			t.Fatalf("depth: %v", err)
		}
		if n == 0 {
			return
		}
		l, err := e.Dequeue(ctx)
		if err != nil {
			t.Fatalf("dequeue with %d prompts in the queue: %v", n, err)
		}
		mustRemove(t, l)
	}
}

func testPromptSurvives(t *testing.T, e runnel.Engine) {
	p := newPrompt(newSession())
	temperature, topP := 0.5, 0.0
	p.Model, p.System, p.History, p.MaxTokens = "echo", "be brief", true, 7
	p.Temperature, p.TopP, p.Stop = &temperature, &topP, []string{"\n", "é"}
	p.Tools = []runnel.Tool{{Name: "look", Description: "looks", Schema: json.RawMessage(`{"type":"object"}`)}}
	p.ToolChoice = runnel.ToolChoice{Mode: "tool", Name: "look"}
	p.Metadata = map[string]string{"a": "b"}
	p.Account = "an account"
	p.Reserved = &runnel.Reservation{ID: "r", Day: "today", Prompts: 1, Metered: true, Tokens: 7}
	p.Cursor = mustAppend(t, e, p.Session, "before")[0]
	p.Messages = append(p.Messages,
		runnel.Message{Role: runnel.Assistant, Parts: []runnel.Part{{ToolCall: &runnel.ToolCall{ID: "1", Name: "look", Input: json.RawMessage(`{"x":1}`)}}}},
		runnel.Message{Role: runnel.User, Parts: []runnel.Part{
			{ToolResult: &runnel.ToolResult{ID: "1", Content: "nothing", Failed: true}},
			{Image: &runnel.Image{MediaType: "image/png", Data: []byte{0, 1, 255}}},
			{Text: "so?"},
		}})
	if err := e.Enqueue(limit(t), p, false); err != nil {
		t.Fatal(err)
	}
	found, err := e.Find(limit(t), p.Session, p.Generation)
	if diff := cmp.Diff(p, found); err != nil || diff != "" {
		t.Errorf("find: %v (-want +got):\n%s", err, diff)
	}
	wantWaiting(t, e, p.Session, p)
	mustRemove(t, mustDequeue(t, e, p))
}

func wantWaiting(t *testing.T, e runnel.Queue, id runnel.SessionID, want ...runnel.Prompt) {
	t.Helper()
	got, err := e.Waiting(limit(t), id)
	if err != nil {
		t.Fatalf("waiting: %v", err)
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiting in %q (-want +got):\n%s", id, diff)
	}
}

func testQueueOrder(t *testing.T, e runnel.Engine) {
	var want []runnel.Prompt
	ids := []runnel.SessionID{newSession(), newSession(), newSession()}
	for i := range 30 {
		want = append(want, mustEnqueue(t, e, ids[i*i%len(ids)], 1)...)
		wantDepth(t, e, len(want))
	}
	for i, p := range want {
		mustRemove(t, mustDequeue(t, e, p))
		wantDepth(t, e, len(want)-i-1)
	}
	wantNoPrompt(t, e)
}

func testStoredOnce(t *testing.T, e runnel.Engine) {
	p := newPrompt(newSession())
	again := func(when string) {
		t.Helper()
		for _, exclusive := range []bool{false, true} {
			if err := e.Enqueue(limit(t), p, exclusive); err != nil {
				t.Errorf("enqueue again %s, exclusive %t: %v", when, exclusive, err)
			}
		}
	}
	var g errgroup.Group
	ctx := limit(t)
	for range 16 {
		g.Go(func() error { return e.Enqueue(ctx, p, false) })
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("enqueue the same prompt concurrently: %v", err)
	}
	again("while it waits")
	wantDepth(t, e, 1)
	l := mustDequeue(t, e, p)
	again("while it is leased")
	wantDepth(t, e, 1)
	wantNoPrompt(t, e)
	mustRemove(t, l)
	again("after it was removed")
	wantDepth(t, e, 0)
}

func testExclusive(t *testing.T, e runnel.Engine) {
	id := newSession()
	first, second := newPrompt(id), newPrompt(id)
	if err := e.Enqueue(limit(t), first, true); err != nil {
		t.Fatalf("the only prompt of its session: %v", err)
	}
	wantKind(t, e.Enqueue(limit(t), second, true), runnel.Conflict)
	l := mustDequeue(t, e, first)
	wantKind(t, e.Enqueue(limit(t), second, true), runnel.Conflict)
	other := newPrompt(newSession())
	if err := e.Enqueue(limit(t), other, true); err != nil {
		t.Errorf("a prompt of another session: %v", err)
	}
	mustRemove(t, l)
	if err := e.Enqueue(limit(t), second, true); err != nil {
		t.Errorf("after the first was removed: %v", err)
	}
	wantWaiting(t, e, id, second)
	wantDepth(t, e, 2)
}

func testExclusiveRace(t *testing.T, e runnel.Engine) {
	for range size(10, 3) {
		id := newSession()
		var (
			g        errgroup.Group
			mu       sync.Mutex
			accepted []runnel.Prompt
		)
		ctx := limit(t)
		for range 16 {
			g.Go(func() error {
				p := newPrompt(id)
				err := e.Enqueue(ctx, p, true)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					accepted = append(accepted, p)
				} else if runnel.KindOf(err) != runnel.Conflict {
					return err
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if len(accepted) != 1 {
			t.Fatalf("%d of 16 exclusive prompts were accepted, want 1", len(accepted))
		}
		wantWaiting(t, e, id, accepted...)
		mustRemove(t, mustDequeue(t, e, accepted[0]))
	}
}

func testFind(t *testing.T, e runnel.Engine) {
	id := newSession()
	p := mustEnqueue(t, e, id, 2)[1]
	if got, err := e.Find(limit(t), id, p.Generation); err != nil || got.Generation != p.Generation {
		t.Errorf("find: %s, %v", got.Generation, err)
	}
	_, err := e.Find(limit(t), id, newGeneration())
	wantKind(t, err, runnel.NotFound)
	_, err = e.Find(limit(t), newSession(), p.Generation)
	wantKind(t, err, runnel.NotFound)
	empty(t, e)
	_, err = e.Find(limit(t), id, p.Generation)
	wantKind(t, err, runnel.NotFound)
}

func testWaiting(t *testing.T, e runnel.Engine) {
	id, other := newSession(), newSession()
	wantWaiting(t, e, id)
	want := mustEnqueue(t, e, id, 2)
	apart := mustEnqueue(t, e, other, 1)
	want = append(want, mustEnqueue(t, e, id, 2)...)
	l := mustDequeue(t, e, want[0])
	wantWaiting(t, e, id, want...) // leased ones count
	wantWaiting(t, e, other, apart...)
	mustRemove(t, l)
	wantWaiting(t, e, id, want[1:]...)
}

func testWaitingLimit(t *testing.T, e runnel.Engine) {
	id := newSession()
	want := mustEnqueue(t, e, id, 1_005)
	wantWaiting(t, e, id, want[:1_000]...)
	wantDepth(t, e, len(want))
}

func testQueueSessionIDs(t *testing.T, e runnel.Engine) {
	want := make(map[runnel.SessionID][]runnel.Prompt)
	for _, id := range sessionIDs() {
		p := newPrompt(id)
		if err := e.Enqueue(limit(t), p, true); err != nil {
			t.Fatalf("enqueue in %q: %v", id, err)
		}
		want[id] = []runnel.Prompt{p}
	}
	for id, prompts := range want {
		wantWaiting(t, e, id, prompts...)
		if _, err := e.Find(limit(t), id, prompts[0].Generation); err != nil {
			t.Errorf("find in %q: %v", id, err)
		}
	}
}

func testActive(t *testing.T, e runnel.Engine) {
	want := map[string]int{"": 1, "ann": 2, "*": 1, ">": 1, "key:a b/c@d": 3, "nobody": 0}
	check := func() {
		t.Helper()
		for account, n := range want {
			if got, err := e.Active(limit(t), account); err != nil || got != n {
				t.Errorf("%d prompts of %q, %v; want %d", got, account, err, n)
			}
		}
	}
	id := newSession()
	for account, n := range want {
		for range n {
			p := newPrompt(id)
			p.Account = account
			if err := e.Enqueue(limit(t), p, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	check()
	for range 8 {
		l, err := e.Dequeue(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		check() // leased ones count
		mustRemove(t, l)
		want[l.Prompt().Account]--
		check()
	}
}

// leaseAll leases n prompts with some workers and returns how often each
// generation was given out. It holds the leases and removes them in the end.
func leaseAll(t *testing.T, e runnel.Queue, workers, n int) map[runnel.GenerationID]int {
	t.Helper()
	var (
		mu     sync.Mutex
		leases []runnel.Lease
	)
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for {
				l, err := e.Dequeue(ctx)
				if errors.Is(err, context.Canceled) {
					return nil
				}
				if err != nil {
					return fmt.Errorf("dequeue: %w", err)
				}
				mu.Lock()
				if leases = append(leases, l); len(leases) == n {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	given := make(map[runnel.GenerationID]int)
	for _, l := range leases {
		given[l.Prompt().Generation]++
		mustRemove(t, l)
	}
	return given
}
