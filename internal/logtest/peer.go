package logtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnelhq/runnel"
)

func peerTests() []test {
	return []test{
		{"a node is asked", testAsk},
		{"a node that is not there", testAskNobody},
		{"a node that has ended", testAskEnded},
		{"a node answers many at once", testAskMany},
		{"an answer is awaited", testAnswerWaits},
		{"connections", testConnections},
		{"any session id has connections", testConnectionSessionIDs},
		{"connections of dead nodes", testDeadNodes},
	}
}

// startNode has a node answer until the function that is returned is called.
func startNode(t *testing.T, e runnel.Peers, f func(ctx context.Context, request []byte) []byte) (name string, stop func()) {
	t.Helper()
	name = string(newSession())
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- e.Answer(ctx, name, func() { close(ready) }, f) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the node ended with %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("the node did not start: %v", err)
	}
	return name, stop
}

func echo(_ context.Context, request []byte) []byte { return []byte("you said " + string(request)) }

func testAsk(t *testing.T, e runnel.Engine) {
	node, _ := startNode(t, e, echo)
	other, _ := startNode(t, e, func(context.Context, []byte) []byte { return nil })
	for _, request := range []string{"hello", "\x00\xff", strings.Repeat("x", 200<<10)} {
		if got, err := e.Ask(limit(t), node, []byte(request)); err != nil || string(got) != "you said "+request {
			t.Errorf("%.20q: got %.20q, %v", request, got, err)
		}
	}
	if got, err := e.Ask(limit(t), other, []byte("hello")); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v from a node that has nothing to say", got, err)
	}
}

func testAskNobody(t *testing.T, e runnel.Engine) {
	for _, name := range []string{string(newSession()), "", "a.b", "*", ">"} {
		begin := time.Now()
		_, err := e.Ask(limit(t), name, []byte("hello"))
		wantKind(t, err, runnel.Gone)
		if took := time.Since(begin); took > patience/2 {
			t.Errorf("%q: it took %v to say so", name, took)
		}
	}
}

func testAskEnded(t *testing.T, e runnel.Engine) {
	node, stop := startNode(t, e, echo)
	if _, err := e.Ask(limit(t), node, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	stop()
	_, err := e.Ask(limit(t), node, []byte("hello"))
	wantKind(t, err, runnel.Gone)
}

// testAskMany: one request that takes its time does not hold up the others.
func testAskMany(t *testing.T, e runnel.Engine) {
	release := make(chan struct{})
	node, _ := startNode(t, e, func(ctx context.Context, request []byte) []byte {
		if string(request) == "wait" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return echo(ctx, request)
	})
	slow := make(chan error, 1)
	go func() {
		_, err := e.Ask(t.Context(), node, []byte("wait"))
		slow <- err
	}()
	var g errgroup.Group
	for i := range size(200, 20) {
		g.Go(func() error {
			text := strconv.Itoa(i)
			got, err := e.Ask(limit(t), node, []byte(text))
			if err == nil && string(got) != "you said "+text {
				err = errors.New("got " + string(got))
			}
			return err
		})
	}
	err := g.Wait()
	close(release)
	if err = errors.Join(err, <-slow); err != nil {
		t.Fatal(err)
	}
}

// testAnswerWaits: when Answer returns, its calls have.
func testAnswerWaits(t *testing.T, e runnel.Engine) {
	begun, returned := make(chan struct{}), make(chan struct{})
	node, stop := startNode(t, e, func(ctx context.Context, _ []byte) []byte {
		close(begun)
		<-ctx.Done()
		close(returned)
		return nil
	})
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = e.Ask(t.Context(), node, []byte("hello")) // the answer is what f returns, or none
	}()
	<-begun
	stop()
	select {
	case <-returned:
	default:
		t.Error("Answer has returned before its call")
	}
	<-asked
}

// connection returns one that node has, the n-th to be opened.
func connection(id runnel.SessionID, node string, n int) runnel.Connection {
	opened := time.Unix(1_700_000_000, 0).Add(time.Duration(n) * time.Millisecond).UTC()
	return runnel.Connection{ID: string(newSession()), Session: id, Node: node, Principal: "ann", Opened: opened}
}

func wantConnections(t *testing.T, e runnel.Connections, id runnel.SessionID, want ...runnel.Connection) {
	t.Helper()
	got, err := e.Connections(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("connections of %q (-want +got):\n%s", id, diff)
	}
}

func mustConnect(t *testing.T, e runnel.Connections, all ...runnel.Connection) {
	t.Helper()
	for _, c := range all {
		if err := e.Connected(limit(t), c); err != nil {
			t.Fatal(err)
		}
	}
}

func testConnections(t *testing.T, e runnel.Engine) {
	node, _ := startNode(t, e, echo)
	id, other := newSession(), newSession()
	wantConnections(t, e, id)
	a, b, c, d := connection(id, node, 3), connection(id, node, 1), connection(id, node, 2), connection(other, node, 0)
	mustConnect(t, e, a, b, c, d, c)
	wantConnections(t, e, id, b, c, a)
	for range 2 { // the second time there is none
		if err := e.Disconnected(limit(t), c); err != nil {
			t.Fatal(err)
		}
		wantConnections(t, e, id, b, a)
	}
	wantConnections(t, e, other, d)
}

func testConnectionSessionIDs(t *testing.T, e runnel.Engine) {
	node, _ := startNode(t, e, echo)
	want := make(map[runnel.SessionID]runnel.Connection)
	for i, id := range sessionIDs() {
		want[id] = connection(id, node, i)
		mustConnect(t, e, want[id])
	}
	for _, id := range sessionIDs() {
		wantConnections(t, e, id, want[id])
		if err := e.Disconnected(limit(t), want[id]); err != nil {
			t.Fatal(err)
		}
	}
}

// testDeadNodes: what a node leaves behind is not shown, and what others hold is.
func testDeadNodes(t *testing.T, e runnel.Engine) {
	dying, stop := startNode(t, e, echo)
	living, _ := startNode(t, e, echo)
	id := newSession()
	all := []runnel.Connection{connection(id, dying, 1), connection(id, living, 2), connection(id, dying, 3)}
	mustConnect(t, e, all...)
	wantConnections(t, e, id, all...)
	stop()
	for range 2 {
		wantConnections(t, e, id, slices.Clone(all)[1:2]...)
	}
}
