package apigateway_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/transport/apigateway"
)

// A list forgets connections that nobody mentions again, as the real one does.
type list struct {
	mu    sync.Mutex
	until map[runnel.Connection]time.Time
}

func (l *list) Connected(_ context.Context, c runnel.Connection) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until[c] = time.Now().Add(runnel.MaxConnectionAge)
	return nil
}

func (l *list) Disconnected(_ context.Context, c runnel.Connection) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.until, c)
	return nil
}

func (l *list) Connections(context.Context, runnel.SessionID) ([]runnel.Connection, error) {
	return l.living(), nil
}

func (l *list) living() (all []runnel.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, until := range l.until {
		if time.Now().Before(until) {
			all = append(all, c)
		}
	}
	return all
}

// A connection that lasts longer than what is noted of it is noted again, and one
// that has ended is not.
func TestListedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &list{until: make(map[runnel.Connection]time.Time)}
		h, err := apigateway.New(nil, apigateway.Config{Connections: l})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		note, done := apigateway.Open(h, "s")
		time.Sleep(10 * runnel.MaxConnectionAge)
		if diff := cmp.Diff([]runnel.Connection{note}, l.living()); diff != "" {
			t.Errorf("after ten days (-want +got):\n%s", diff)
		}
		done()
		time.Sleep(2 * runnel.MaxConnectionAge)
		if got := l.living(); got != nil {
			t.Errorf("two days after its end: %v", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := h.End(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
