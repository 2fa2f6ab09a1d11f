package sse_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/memlog"
	"github.com/runnelhq/runnel/internal/sse"
)

const goodbye = "event: error\ndata: {\"kind\":\"unauthenticated\",\"message\":\"no longer\"}\n\n"

// credentials are those of every caller, until they are withdrawn.
type credentials struct {
	withdraw context.CancelCauseFunc
	end      context.Context
}

func newCredentials() credentials {
	ctx, withdraw := context.WithCancelCause(context.Background())
	return credentials{withdraw: withdraw, end: ctx}
}

func (c credentials) bind(ctx context.Context, p *runnel.Principal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(runnel.WithPrincipal(ctx, p))
	stop := context.AfterFunc(c.end, func() { cancel(context.Cause(c.end)) })
	return ctx, func() { stop(); cancel(nil) }
}

// A client whose credentials end is told so, whether it reads or not the stream
// is over soon, and one that still has much to read gets no more of it.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		caller, failed := newCredentials(), make(chan runnel.Kind, 3)
		ln := newPipeListener()
		r := start(t, ln, ln.dial, sse.Config{Bind: caller.bind, Failed: func(k runnel.Kind) { failed <- k }})
		_, waiting := r.get(t, "/")
		_, stuck := r.get(t, "/") // it reads nothing from here on
		frames := sse.NewReader(waiting, 1<<20)
		for range 100 {
			r.append(t, "g", runnel.EventDelta, strings.Repeat("x", 1000))
			if _, err := frames.Next(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()

		begin := time.Now()
		caller.withdraw(runnel.Errorf(runnel.Unauthenticated, "no longer"))
		f, err := frames.Next()
		if err != nil || string(f.Type) != "error" || string(f.Data) != `{"kind":"unauthenticated","message":"no longer"}` {
			t.Errorf("got %s %s, %v", f.Type, f.Data, err)
		}
		if _, err := frames.Next(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("the client that reads was told after %v", took)
		}
		waitFor(t, "the viewers to go", func() bool { return r.viewers.Len() == 0 })
		if took := time.Since(begin); took < time.Second || took > time.Second+10*time.Millisecond {
			t.Errorf("the client that does not read was let go after %v", took)
		}
		if rest, _ := io.ReadAll(stuck); len(rest) > 32<<10 {
			t.Errorf("it could still read %d bytes", len(rest))
		}
		for range 2 {
			if k := <-failed; k != runnel.Unauthenticated {
				t.Errorf("recorded %v", k)
			}
		}
	})
}

// Streams that stay with net/http end with their request's context.
func TestWithdrawnWithinARequest(t *testing.T) {
	t.Parallel()
	log := memlog.New()
	viewers := sse.NewViewers(log, sse.Config{})
	caller := newCredentials()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, release := caller.bind(r.Context(), runnel.PrincipalFrom(r.Context()))
		defer release()
		viewers.Serve(w, r.WithContext(ctx), sse.Source{Session: session, Generation: "g"})
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); err != nil || line != ": runnel\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	caller.withdraw(runnel.Errorf(runnel.Unauthenticated, "no longer"))
	if rest, err := io.ReadAll(body); err != nil || !strings.HasSuffix(string(rest), goodbye) {
		t.Errorf("got %q, %v", rest, err)
	}
}
