package natslog_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// TestStaleLeader has somebody beside the server refuse everything at once, as a
// leader does that was frozen and has not heard of its successor. What the real one
// stores must be stored once.
func TestStaleLeader(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	e := open(t, natslog.Config{URL: s.ClientURL()})
	w, err := e.Writer(t.Context(), "s", gen)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	var refused atomic.Int64
	for _, subject := range []string{"runnel.log.s", "runnel.turn.>"} {
		_, err = nc.Subscribe(subject, func(m *nats.Msg) {
			refused.Add(1)
			_ = m.Respond([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"stream":"RUNNEL_LOG","seq":0}`))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range 200 {
		texts = append(texts, strconv.Itoa(i))
		if _, err := w.Append(t.Context(), delta("s", texts[i])); err != nil {
			t.Fatal(err)
		}
	}
	run := runnel.Run{Session: "s", Generation: gen, State: runnel.Running, Attempt: 1}
	for range 50 {
		if run, err = e.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	nc.Close()
	if refused.Load() == 0 {
		t.Fatal("nothing was refused")
	}
	want(t, e, "s", runnel.Cursor{}, texts...)
}
