package natslog_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// admin returns a client of the server's own, as an operator has one.
func admin(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func settings(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config
}

// TestSettingsAreMigrated: what is ours is put right, what is the operator's is
// left, and a start that finds all in order changes nothing.
func TestSettingsAreMigrated(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	js := admin(t, s.ClientURL())
	start := func(c natslog.Config) string {
		var log bytes.Buffer
		c.URL, c.Logger = s.ClientURL(), slog.New(slog.NewTextHandler(&log, nil))
		if err := open(t, c).Close(); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	start(natslog.Config{})
	if log := start(natslog.Config{}); strings.Contains(log, "brought up to date") {
		t.Errorf("a second start changed something:\n%s", log)
	}
	for _, name := range []string{"RUNNEL_LOG", "RUNNEL_PROMPTS", "RUNNEL_TURNS"} {
		old := settings(t, js, name)
		delete(old.Metadata, "runnel.settings") // made before there were versions
		old.Discard, old.Duplicates, old.MaxAge = jetstream.DiscardOld, time.Minute, 2*time.Hour
		old.MaxBytes = 1 << 30 // the operator's own
		old.RePublish = nil
		if _, err := js.UpdateStream(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	log := start(natslog.Config{Retention: 5 * time.Hour})
	if n := strings.Count(log, "brought up to date"); n != 3 {
		t.Errorf("%d streams were brought up to date, want 3:\n%s", n, log)
	}
	events, prompts := settings(t, js, "RUNNEL_LOG"), settings(t, js, "RUNNEL_PROMPTS")
	if events.MaxAge != 5*time.Hour || events.RePublish == nil || events.MaxBytes != 1<<30 {
		t.Errorf("the log has %+v", events)
	}
	if prompts.Discard != jetstream.DiscardNew || prompts.Duplicates < 10*time.Minute || prompts.MaxBytes != 1<<30 {
		t.Errorf("the queue has %+v", prompts)
	}
	put(t, open(t, natslog.Config{URL: s.ClientURL()}), "s", "0")
}

// TestNewerSettingsStay: an old node beside a new one works with its streams and
// does not turn them back.
func TestNewerSettingsStay(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	js := admin(t, s.ClientURL())
	one := open(t, natslog.Config{URL: s.ClientURL()})
	put(t, one, "s", "0")
	newer := settings(t, js, "RUNNEL_LOG")
	newer.Metadata["runnel.settings"] = "1000"
	newer.Description, newer.MaxAge = "of a later version", 99*time.Hour
	if _, err := js.UpdateStream(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	two := open(t, natslog.Config{URL: s.ClientURL()})
	put(t, two, "s", "1")
	want(t, one, "s", runnel.Cursor{}, "0", "1")
	if got := settings(t, js, "RUNNEL_LOG"); got.Description != newer.Description || got.MaxAge != newer.MaxAge {
		t.Errorf("the older node changed it to %+v", got)
	}
}

// TestSettingsThatCannotBe says what is wrong instead of losing anything.
func TestSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), -1)
	js := admin(t, s.ClientURL())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "RUNNEL_PROMPTS", Subjects: []string{"runnel.prompts.*.*.*"}, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := natslog.Open(t.Context(), natslog.Config{URL: s.ClientURL()})
	if err == nil {
		_ = e.Close()
		t.Fatal("a queue in memory was accepted")
	}
	for _, part := range []string{"RUNNEL_PROMPTS", "Storage"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	_, err = natslog.Open(t.Context(), natslog.Config{URL: startServer(t, t.TempDir(), -1).ClientURL(), Replicas: 3})
	if err == nil || !strings.Contains(err.Error(), "--nats-replicas") {
		t.Errorf("three copies on one server: %v", err)
	}
}
