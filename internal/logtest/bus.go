package logtest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
)

func busTests() []test {
	return []test{
		{"broadcast messages arrive in order, everywhere", testBroadcast},
		{"any topic", testTopics},
	}
}

// listen collects what is broadcast on topics that begin with a prefix, as tests
// share an engine. It returns the next message when it is there.
func listen(t *testing.T, e runnel.Bus, prefix string) (next func() (topic, data string)) {
	t.Helper()
	type message struct{ topic, data string }
	heard := make(chan message, 10_000) // more than a test broadcasts
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- e.Listen(ctx, func() { close(ready) }, func(topic string, data []byte) {
			if strings.HasPrefix(topic, prefix) {
				heard <- message{topic, string(data)}
			}
		})
	}()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("listening ended with %v", err)
		}
	}))
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("cannot listen: %v", err)
	}
	limited := limit(t)
	return func() (string, string) {
		t.Helper()
		select {
		case m := <-heard:
			return m.topic, m.data
		case <-limited.Done():
			t.Fatal("nothing more is heard")
			return "", ""
		}
	}
}

func testBroadcast(t *testing.T, e runnel.Engine) {
	const count = 1000
	topic := string(newSession())
	listeners := []func() (string, string){listen(t, e, topic), listen(t, e, topic)}
	for i := range count {
		if err := e.Broadcast(topic, []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, next := range listeners {
		for i := range count {
			if _, data := next(); data != strconv.Itoa(i) {
				t.Fatalf("got %q, want %d", data, i)
			}
		}
	}
}

func testTopics(t *testing.T, e runnel.Engine) {
	mark := string(newSession())
	next := listen(t, e, mark)
	for _, rest := range []string{"", "/a b.c", "*", ">", "\x00ä日本", strings.Repeat("x", 400)} {
		if err := e.Broadcast(mark+rest, []byte(rest)); err != nil {
			t.Fatal(err)
		}
		topic, data := next()
		if diff := cmp.Diff([]string{mark + rest, rest}, []string{topic, data}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
