package natslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/natslog"
)

// victimDir is set in the environment of a process that is to be killed.
const victimDir = "RUNNEL_TEST_VICTIM"

// TestKilledProcess kills a process while it appends, enqueues and puts runs as
// fast as it can, and looks at what is left.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a process")
	}
	dir := t.TempDir()
	events, prompts := kill(t, dir, 5000)
	e := open(t, natslog.Config{Dir: dir})

	depth, err := e.Depth(t.Context())
	if err != nil || depth < prompts {
		t.Errorf("%d prompts are left, %v, of %d that were acknowledged", depth, err, prompts)
	}
	// The last one acknowledged is intact, or the reader is told up to where.
	last := events[len(events)-1]
	end, err := e.End(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, "s", "next")
	if end.Seq < last.Seq {
		_, err := e.Read(t.Context(), "s", last)
		reset, ok := errors.AsType[*runnel.ResetError](err)
		if !ok || reset.Intact.Seq < end.Seq || reset.Intact.Seq >= last.Seq {
			t.Fatalf("read after %s, when the log ended at %s: %v", last, end, err)
		}
		want(t, e, "s", reset.Intact, "next")
	}
	// What is left is a beginning of what was appended, with no hole and
	// nothing twice; one more may be stored than was acknowledged.
	kept, after := 0, runnel.Cursor{}
	for done := false; !done; {
		got, err := e.Read(t.Context(), "s", after)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range got {
			if done = ev.Text == "next"; done {
				break
			}
			if ev.Text != strconv.Itoa(kept) {
				t.Fatalf("event %d is %q", kept, ev.Text)
			}
			kept, after = kept+1, ev.Cursor
		}
	}
	t.Logf("%d of %d events and %d of %d prompts are left", kept, len(events), depth, prompts)
}

// kill runs a victim until it has said that n events are stored. It returns
// their positions, and how many prompts it has said are stored.
func kill(t *testing.T, dir string, n int) (events []runnel.Cursor, prompts int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "prompt" {
			prompts++
			continue
		}
		c, err := runnel.ParseCursor(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		if events = append(events, c); len(events) == n {
			_ = cmd.Process.Kill() // and read what it could still say
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the victim ended with %v", err)
	}
	return events, prompts
}

// runVictim appends until it is killed, and says what is stored.
func runVictim(dir string) {
	if err := victim(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func victim(dir string) error {
	ctx := context.Background()
	e, err := natslog.Open(ctx, natslog.Config{Dir: dir})
	if err != nil {
		return err
	}
	w, err := e.Writer(ctx, "s", gen)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		at, err := w.Append(ctx, delta("s", strconv.Itoa(i)))
		if err != nil {
			return err
		}
		fmt.Println(at)
		if i%100 == 0 {
			p := runnel.Prompt{Session: "s", Generation: runnel.GenerationID(strconv.Itoa(i))}
			if err := e.Enqueue(ctx, p, false); err != nil {
				return err
			}
			fmt.Println("prompt")
		}
	}
}

// TestLostTail puts back an older state of the log, as a crash does, with
// everything else as it was at the end.
func TestLostTail(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	fifth := put(t, e, "s", "1", "2", "3", "4", "5")
	crash := checkpoint(t, e)
	tenth := put(t, e, "s", "6", "7", "8", "9", "10")
	e = crash(e).(*natslog.Engine)
	_, err := e.Read(t.Context(), "s", tenth)
	reset, ok := errors.AsType[*runnel.ResetError](err)
	if !ok || reset.Intact.Seq != fifth.Seq || reset.Intact.Epoch == fifth.Epoch {
		t.Fatalf("read after %s: %v, want a reset to %d in a new epoch", tenth, err, fifth.Seq)
	}
	put(t, e, "s", "other")
	want(t, e, "s", fifth, "other")
	want(t, e, "s", reset.Intact, "other")
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, natslog.Config{Dir: dir})
	if _, err := natslog.Open(t.Context(), natslog.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("opened twice: %v", err)
	}
	put(t, e, "s", "0") // the first is unharmed
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, natslog.Config{Dir: dir})
	want(t, e, "s", runnel.Cursor{}, "0")
}

func TestClosed(t *testing.T) {
	t.Parallel()
	e := open(t, natslog.Config{Dir: t.TempDir()})
	at := put(t, e, "s", "0")
	calls := make(chan error, 4)
	for range 2 {
		go func() {
			_, err := e.Read(t.Context(), "s", at)
			calls <- err
		}()
	}
	go func() {
		_, err := e.Dequeue(t.Context())
		calls <- err
	}()
	ready := make(chan struct{})
	go func() { calls <- e.Cancels(t.Context(), func() { close(ready) }, func(runnel.GenerationID) {}) }()
	<-ready
	if err := natslog.Await(t.Context(), func() bool { return e.Stats().Readers == 2 }); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for range cap(calls) {
		if err := <-calls; runnel.KindOf(err) != runnel.Unavailable {
			t.Errorf("a call in progress at the close got %v", err)
		}
	}
	if _, err := e.Append(t.Context(), delta("s", "1")); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("append to a closed engine: %v", err)
	}
	if err := e.Check(t.Context()); runnel.KindOf(err) != runnel.Unavailable {
		t.Errorf("check of a closed engine: %v", err)
	}
}
