package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

// collect reads n events, or fewer if an error comes first.
func collect(ctx context.Context, c *client.Client, after runnel.Cursor, n int) (texts []string, err error) {
	for ev, err := range c.Stream(ctx, "s", after) {
		if err != nil {
			return texts, err
		}
		if texts = append(texts, string(ev.Type)+" "+ev.Text); len(texts) == n {
			break
		}
	}
	return texts, nil
}

func TestStreamSurvives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){
			func(w *writer, _ runnel.Cursor) { w.open(); w.send(deltas(4, 5)...); w.cut() },
			func(w *writer, _ runnel.Cursor) { w.cut() },
			func(w *writer, _ runnel.Cursor) {
				w.open()
				w.send(delta(6))
				w.raw("id: e-7\nevent: delta\nda")
				w.cut()
			},
			func(w *writer, _ runnel.Cursor) {
				w.Header().Set("Retry-After", "7")
				w.refuse(http.StatusServiceUnavailable, runnel.Unavailable, "starting")
			},
			func(w *writer, _ runnel.Cursor) { w.WriteHeader(http.StatusBadGateway) },
			func(w *writer, _ runnel.Cursor) { w.open() }, // an orderly end, as when a node drains
			func(w *writer, _ runnel.Cursor) {
				w.open()
				w.raw("event: error\ndata: {\"kind\":\"unavailable\",\"message\":\"log\"}\n\n")
			},
			func(w *writer, _ runnel.Cursor) { w.open(); w.send(deltas(7, 9)...); w.stay() },
		}}
		c, outages := connect(t, g)
		got, err := collect(t.Context(), c, cursor(3), 6)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"delta 4", "delta 5", "delta 6", "delta 7", "delta 8", "delta 9"}, got); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"e-3", "e-5", "e-5", "e-6", "e-6", "e-6", "e-6", "e-6"}, g.asked); diff != "" {
			t.Errorf("cursors differ (-want +got):\n%s", diff)
		}
		const lost = "the gateway cannot be reached"
		var errs []string
		for _, o := range *outages {
			errs = append(errs, o.Err)
		}
		want := []string{lost, lost, "", lost, "starting", "the gateway answered 502 Bad Gateway", "", lost, "", "log", ""}
		if diff := cmp.Diff(want, errs); diff != "" {
			t.Errorf("outages differ (-want +got):\n%s", diff)
		}
		if wait := (*outages)[4].Wait; wait != 7*time.Second {
			t.Errorf("waited %v although the gateway asked for 7s", wait)
		}
	})
}

// A reset's events have one cursor between them. A reader that is interrupted
// within must not see the first of them twice.
func TestStreamGivesResetsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := runnel.Event{Generation: "g", Attempt: 2, Type: runnel.EventStarted, Text: "", Model: "echo"}
		reset := runnel.Event{Generation: "g", Attempt: 2, Type: runnel.EventReset, Text: "so far"}
		last := reset
		last.Cursor = cursor(9)
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){
			func(w *writer, _ runnel.Cursor) { w.open(); w.send(delta(4), started, reset); w.cut() },
			func(w *writer, _ runnel.Cursor) { w.open(); w.send(started, last, delta(10)); w.stay() },
		}}
		c, _ := connect(t, g)
		got, err := collect(t.Context(), c, runnel.Cursor{}, 4)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"delta 4", "generation.started ", "reset so far", "delta 10"}, got); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0", "e-4"}, g.asked); diff != "" {
			t.Errorf("cursors differ (-want +got):\n%s", diff)
		}
	})
}

func TestStreamGivesUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script func(w *writer, _ runnel.Cursor)
		want   runnel.Kind
	}{
		"gone": {func(w *writer, _ runnel.Cursor) { w.refuse(410, runnel.Gone, "past") }, runnel.Gone},
		"gone later": {func(w *writer, _ runnel.Cursor) {
			w.open()
			w.raw("event: error\ndata: {\"kind\":\"gone\",\"message\":\"past\"}\n\n")
		}, runnel.Gone},
		"denied by proxy": {func(w *writer, _ runnel.Cursor) { w.WriteHeader(403) }, runnel.Denied},
		"not found":       {func(w *writer, _ runnel.Cursor) { w.WriteHeader(404) }, runnel.NotFound},
		"not events":      {func(w *writer, _ runnel.Cursor) { w.open(); w.raw("data: <html>\n\n") }, runnel.Internal},
		"bad cursor":      {func(w *writer, _ runnel.Cursor) { w.open(); w.raw("id: ?\ndata: {\"v\":1,\"type\":\"delta\"}\n\n") }, runnel.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){tt.script}}
				c, _ := connect(t, g)
				_, err := collect(t.Context(), c, runnel.Cursor{}, 1)
				if err == nil || runnel.KindOf(err) != tt.want {
					t.Errorf("got %v of kind %v, want one of kind %v", err, runnel.KindOf(err), tt.want)
				}
				if len(g.asked) != 1 {
					t.Errorf("tried %d times", len(g.asked))
				}
			})
		})
	}
}

// A connection that died without a word is noticed and replaced.
func TestStreamNoticesSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){
			func(w *writer, _ runnel.Cursor) {
				w.open()
				for range 4 { // heartbeats keep it
					time.Sleep(50 * time.Second)
					w.raw(": ping\n\n")
				}
				w.stay()
			},
			func(w *writer, _ runnel.Cursor) { w.open(); w.send(delta(1)); w.stay() },
		}}
		c, _ := connect(t, g)
		began := time.Now()
		if _, err := collect(t.Context(), c, runnel.Cursor{}, 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began).Round(time.Second); took != 260*time.Second {
			t.Errorf("took %v, want 4m20s", took)
		}
	})
}

func TestStreamEndsWithContext(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(w *writer, _ runnel.Cursor){
		"connected": func(w *writer, _ runnel.Cursor) { w.open(); w.stay() },
		"waiting":   func(w *writer, _ runnel.Cursor) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := connect(t, &gateway{t: t, scripts: []func(*writer, runnel.Cursor){script}})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := collect(ctx, c, runnel.Cursor{}, 1); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A gateway that accepts connections and drops them is not hammered.
func TestStreamBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){func(w *writer, _ runnel.Cursor) { w.open(); w.cut() }}}
		c, outages := connect(t, g)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, _ = collect(ctx, c, runnel.Cursor{}, 1)
		if n := len(g.asked); n < 300 || n > 800 {
			t.Errorf("tried %d times in an hour", n)
		}
		if w := (*outages)[0].Wait; w > 250*time.Millisecond {
			t.Errorf("waited %v before the second try", w)
		}
	})
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := delta(2)
		other.Generation = "other"
		done := runnel.Event{Cursor: cursor(4), Generation: "g", Attempt: 1, Type: runnel.EventDone, StopReason: runnel.EndTurn}
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){func(w *writer, _ runnel.Cursor) {
			w.open()
			w.send(delta(1), other, delta(3), done, delta(5))
			w.stay()
		}}}
		c, _ := connect(t, g)
		var a client.Answer
		for ev, err := range c.Follow(t.Context(), runnel.Receipt{Session: "s", Generation: "g"}) {
			if err != nil {
				t.Fatal(err)
			}
			a.Apply(ev)
		}
		if a.Text() != "13" || a.State != runnel.Done || a.StopReason != runnel.EndTurn {
			t.Errorf("got %q, state %s, stop reason %s", a.Text(), a.State, a.StopReason)
		}
	})
}

// A gateway whose log is another one, and which has never heard of the
// generation, must not leave its follower waiting for ever.
func TestFollowOfForgottenGeneration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{t: t, scripts: []func(*writer, runnel.Cursor){func(w *writer, _ runnel.Cursor) {
			w.open()
			w.send(runnel.Event{Type: runnel.EventReset, Cursor: cursor(1)})
			w.stay()
		}}}
		mux := http.NewServeMux()
		mux.Handle("/v1/sessions/", g)
		mux.HandleFunc("GET /v1/generations/g", http.NotFound)
		c, _ := connect(t, mux)
		for _, err := range c.Follow(t.Context(), runnel.Receipt{Session: "s", Generation: "g", Cursor: cursor(7)}) {
			if runnel.KindOf(err) != runnel.NotFound {
				t.Errorf("got %v, want a NotFound error", err)
			}
		}
	})
}
