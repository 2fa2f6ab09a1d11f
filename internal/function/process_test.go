package function_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve runs functions until the test ends.
func serve(t *testing.T, configs ...function.Config) (*function.Set, *logBuffer) {
	t.Helper()
	if err := function.Validate(configs); err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	set, err := function.New(configs, function.Options{Retry: time.Millisecond, Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = set.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			text := log.String()
			t.Logf("the log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return set, log
}

// child is a function of this binary.
func child(name, handler string) function.Config {
	return function.Config{
		Name: name, Command: []string{os.Args[0]}, Handler: handler, Timeout: time.Minute,
		Env: []function.Variable{asHandler + "=1", "GOCOVERDIR=" + function.Variable(os.TempDir())},
	}
}

func lookup(t *testing.T, set *function.Set, name string) *function.Function {
	t.Helper()
	f, ok := set.Lookup(name)
	if !ok {
		t.Fatalf("there is no function %s", name)
	}
	return f
}

func invoke(t *testing.T, f *function.Function, q any) function.Result {
	t.Helper()
	res, err := f.Invoke(t.Context(), function.Request{Payload: encode(t, q)})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func wantFailure(t *testing.T, res function.Result, kind, message string) {
	t.Helper()
	if res.Failure == nil || res.Failure.Type != kind || !strings.Contains(res.Failure.Message, message) {
		t.Fatalf("got %s (%v), want a failure of type %s with %q", res.Payload, res.Failure, kind, message)
	}
	var said struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(res.Payload, &said); err != nil || said.ErrorType != kind {
		t.Errorf("the payload is %s (%v)", res.Payload, err)
	}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Concurrency = 1
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	if got := invoke(t, f, question{Echo: "Größe"}); string(got.Payload) != `"Größe"` || got.Failure != nil {
		t.Errorf("got %s, %v", got.Payload, got.Failure)
	}
	got := invoke(t, f, question{Log: "said on the way", Echo: "x"})
	if string(got.Tail) != "said on the way\n" {
		t.Errorf("the log is %q", got.Tail)
	}
	if got := invoke(t, f, question{Echo: "x"}); len(got.Tail) > 0 {
		t.Errorf("the log of the call after is %q", got.Tail)
	}
	wantFailure(t, invoke(t, f, question{Log: "before", Fail: "it cannot"}), "errorString", "it cannot")
	wantFailure(t, invoke(t, f, question{Panic: "it panics"}), "string", "it panics")
	if got := invoke(t, f, question{Echo: "y"}); string(got.Payload) != `"y"` {
		t.Errorf("after a panic, got %s, %v", got.Payload, got.Failure)
	}
	before := invoke(t, f, question{Context: true})
	wantFailure(t, invoke(t, f, question{Large: function.MaxPayload}), "Function.ResponseSizeTooLarge", "exceeded")
	if after := invoke(t, f, question{Context: true}); pid(t, after) != pid(t, before) {
		t.Error("a large answer has cost the process")
	}
	if _, err := f.Invoke(t.Context(), function.Request{Payload: make([]byte, function.MaxPayload+1)}); runnel.KindOf(err) != runnel.Invalid {
		t.Errorf("an event that is too large: %v", err)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Env = append(c.Env, "GREETING=hello", "HOME")
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	id := function.NewRequestID()
	res, err := f.Invoke(t.Context(), function.Request{
		ID: id, Payload: encode(t, question{Context: true}), ClientContext: "eyJjdXN0b20iOnsiayI6InYifX0=", // {"custom":{"k":"v"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID, ARN, Name string
		Client        map[string]string
		Left          float64
	}
	if err := json.Unmarshal(res.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Name != "f" || got.Client["k"] != "v" || got.ARN != function.ARN("f") || got.Left <= 0 || got.Left > 60 {
		t.Errorf("the handler sees %+v", got)
	}
	for name, want := range map[string]string{
		"GREETING": "hello", "HOME": os.Getenv("HOME"), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "GOFLAGS": "", "_HANDLER": "",
	} {
		if got := invoke(t, f, question{Env: name}); string(got.Payload) != string(encode(t, want)) {
			t.Errorf("%s is %s, want %q", name, got.Payload, want)
		}
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	c, g := child("f", ""), child("g", "")
	g.Concurrency = 1
	set, log := serve(t, c, g)
	f := lookup(t, set, "f")
	other := invoke(t, lookup(t, set, "g"), question{Context: true})
	for range 3 {
		res := invoke(t, f, question{Log: "last words", Exit: 7})
		wantFailure(t, res, "Runtime.ExitError", "Runtime exited with error: exit status 7")
		if string(res.Tail) != "last words\n" {
			t.Errorf("the log is %q", res.Tail)
		}
	}
	if got := invoke(t, f, question{Echo: "again"}); string(got.Payload) != `"again"` {
		t.Errorf("after the crashes, got %s, %v", got.Payload, got.Failure)
	}
	if again := invoke(t, lookup(t, set, "g"), question{Context: true}); pid(t, again) != pid(t, other) {
		t.Error("another function's process was touched")
	}
	// An operator is told of each, and of one that dies with nothing to do.
	const middle = `"msg":"a process ended in the middle of an invocation"`
	if n := strings.Count(log.String(), middle); n != 3 || strings.Count(log.String(), "with error: exit status 7") != 3 {
		t.Errorf("the log tells of %d ends", n)
	}
	asleep, err := os.FindProcess(pid(t, other))
	if err == nil {
		err = asleep.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	// Its runtime may or may not have asked for the next event by then.
	await(t, func() bool { return strings.Contains(log.String(), "signal: killed") })
}

func pid(t *testing.T, res function.Result) int {
	t.Helper()
	var said struct{ PID int }
	if err := json.Unmarshal(res.Payload, &said); err != nil || said.PID == 0 {
		t.Fatalf("got %s, %v", res.Payload, err)
	}
	return said.PID
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Timeout = 4 * time.Second // enough for the call after it, however busy the machine is
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	wantFailure(t, invoke(t, f, question{Hang: true}), "Sandbox.Timedout", "Task timed out after 4.00 seconds")
	if got := invoke(t, f, question{Echo: "x"}); string(got.Payload) != `"x"` {
		t.Errorf("after it, got %s, %v", got.Payload, got.Failure)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	set, _ := serve(t, child("f", "parts"))
	f := lookup(t, set, "f")
	read := func(q parts) (string, error) {
		resp, err := f.Stream(t.Context(), function.Request{Payload: encode(t, q)})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	if got, err := read(parts{Parts: []string{"a", "b"}}); got != "ab" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	got, err := read(parts{Parts: []string{"a"}, Fail: "half way"})
	if failure, ok := errors.AsType[*function.Failure](err); got != "a" || !ok || failure.Message != "half way" {
		t.Errorf("got %q, %v, want a failure after a", got, err)
	}
	got, err = read(parts{Parts: []string{"a"}, Exit: true})
	if failure, ok := errors.AsType[*function.Failure](err); got != "a" || !ok || failure.Type != "Runtime.ExitError" {
		t.Errorf("got %q, %v, want an exit after a", got, err)
	}
}

// A stream that its reader gives up ends the process; the next call has another.
func TestAbandon(t *testing.T) {
	t.Parallel()
	set, log := serve(t, child("f", "parts"))
	f := lookup(t, set, "f")
	for _, how := range []string{"close", "cancel"} {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := f.Stream(ctx, function.Request{Payload: encode(t, parts{Parts: []string{"a"}, Hang: true})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if how == "cancel" {
			cancel()
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the answer ends as if it were whole")
			}
		}
		_ = resp.Body.Close()
		cancel()
		if got := invoke(t, f, parts{Parts: []string{"x"}}); string(got.Payload) != "x" {
			t.Errorf("%s: got %s, %v", how, got.Payload, got.Failure)
		}
	}
	if strings.Contains(log.String(), "a process ended") {
		t.Error("that nobody waits any more is told as if it were a fault")
	}
}

func TestInitFailures(t *testing.T) {
	t.Parallel()
	missing := child("missing", "")
	missing.Command = []string{"/nowhere/at/all"}
	set, _ := serve(t, child("dies", "dies"), missing)
	wantFailure(t, invoke(t, lookup(t, set, "dies"), question{}), "Runtime.ExitError", "exit status 3")
	wantFailure(t, invoke(t, lookup(t, set, "missing"), question{}), "Runtime.ExitError", "cannot be started")
	for range 5 { // while it is not tried again
		wantFailure(t, invoke(t, lookup(t, set, "dies"), question{}), "Runtime.ExitError", "exit status 3")
	}
}

func TestFlood(t *testing.T) {
	t.Parallel()
	set, log := serve(t, child("f", ""))
	begin := time.Now()
	res := invoke(t, lookup(t, set, "f"), question{Flood: 32, Echo: "x"})
	if string(res.Payload) != `"x"` {
		t.Fatalf("got %s, %v", res.Payload, res.Failure)
	}
	if len(res.Tail) != 4<<10 || !bytes.HasSuffix(res.Tail, []byte("yyy\nthe end without a line's end")) {
		t.Errorf("the log ends with %d bytes, %q", len(res.Tail), res.Tail[max(0, len(res.Tail)-40):])
	}
	if n := len(log.String()); n > 4<<20 {
		t.Errorf("our log has %d bytes of it", n)
	}
	if n := strings.Count(log.String(), "logs too much"); n == 0 || n > 1+int(time.Since(begin)/time.Second) {
		t.Errorf("our log says %d times that it is too much", n)
	}
	if got := invoke(t, lookup(t, set, "f"), question{Echo: "y"}); len(got.Tail) > 0 {
		t.Errorf("the next log has %q", got.Tail)
	}
}

func TestPool(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Concurrency = 2
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := map[int]bool{}
	for range 20 {
		wg.Go(func() {
			res, err := f.Invoke(t.Context(), function.Request{Payload: encode(t, question{Context: true})})
			if err != nil || res.Failure != nil {
				t.Error(err, res.Failure)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[pid(t, res)] = true
		})
	}
	wg.Wait()
	if len(pids) > 2 {
		t.Errorf("%d processes ran; the limit is 2", len(pids))
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	set, log := serve(t, child("f", ""))
	f := lookup(t, set, "f")
	if err := set.Enqueue(f, function.Request{Payload: encode(t, question{Log: "event ran", Fail: "on purpose"})}); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Contains(log.String(), "an event is given up") })
	if n := strings.Count(log.String(), `"line":"event ran"`); n != 3 {
		t.Errorf("the event ran %d times, want 3", n)
	}
}

// await waits until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it did not happen")
		}
	}
}
