package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// A question is asked once, and its answer is known beforehand.
type question struct {
	prompt, want string
	cut          bool // the model breaks off on purpose
	generation   string
}

// TestKill streams a hundred sessions through a gateway that is killed again
// and again. Whatever was accepted must be answered, once, in full, to every
// viewer.
func TestKill(t *testing.T) {
	t.Parallel()
	killTest(t, "", func(int) bool { return false })
}

// TestKillGoesOn does it with a model that goes on with what it has said.
func TestKillGoesOn(t *testing.T) {
	t.Parallel()
	model := killTest(t, "&prefill=continue_final_message", func(int) bool { return false })
	if s := model.Stats(); s.Continued == 0 || s.Refused > 0 {
		t.Errorf("the model went on with %d answers and refused %d requests", s.Continued, s.Refused)
	}
}

// TestKillWithFaultyModel does the same while the model breaks every third
// answer off: those end in a failure, with a part of the text.
func TestKillWithFaultyModel(t *testing.T) {
	t.Parallel()
	killTest(t, "", func(i int) bool { return i%3 == 1 })
}

func killTest(t *testing.T, settings string, cut func(i int) bool) *modelserver.Server {
	sessions, kills := 100, 10
	if testing.Short() {
		sessions, kills = 20, 3
	}
	soak, _ := time.ParseDuration(os.Getenv("RUNNEL_SOAK"))
	server, model := startModel(t, "tokens=60 tps=60 ttft=50ms jitter=20ms")
	g := newGateway(t, "--model", model+settings, "--attempts", "100")
	base := g.url("")
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second+soak)
	defer cancel()

	running := make(chan struct{}) // closed when the killing is over
	var wg sync.WaitGroup
	conns, resets := make([]int, sessions), make([]int, sessions)
	for i := range sessions {
		wg.Go(func() {
			v, err := converse(ctx, base, i, cut, running)
			if err != nil {
				t.Errorf("session %d: %v", i, err)
			}
			conns[i], resets[i] = v.connections, v.resets
		})
	}
	killed := 0
	for ; killed < kills || time.Since(begin) < soak; killed++ {
		<-time.After(300*time.Millisecond + rand.N(900*time.Millisecond))
		g.kill()
		g.start()
		if t.Failed() {
			break
		}
	}
	close(running)
	wg.Wait()
	t.Logf("%d sessions, %d kills, %d connections, %d resets, %v", sessions, killed, sum(conns), sum(resets), time.Since(begin).Round(time.Millisecond))
	return server
}

// converse asks questions in one session as long as the gateway is being
// killed, and at least two, follows the answers, and compares.
func converse(ctx context.Context, base string, i int, cut func(int) bool, running <-chan struct{}) (*viewer, error) {
	session := fmt.Sprintf("kill-%d", i)
	v := newViewer(base, session)
	var asked []*question
	for n := 0; ; n++ {
		select {
		case <-running:
			if n >= 2 {
				return v, compare(ctx, base, v, asked)
			}
		default:
		}
		q := &question{prompt: fmt.Sprintf("Question %d of session %d.", n, i), cut: cut(i + n)}
		if q.cut {
			q.prompt += " [[fault:cut-after=25]]"
		}
		q.want = modelserver.Text(q.prompt, 60)
		asked = append(asked, q)
		var err error
		if q.generation, err = submit(ctx, base, session, q.prompt, fmt.Sprintf("%s/%d", session, n)); err != nil {
			return v, err
		}
		if n%2 == 0 {
			continue // the next one has to wait for its turn
		}
		if err := v.follow(ctx, func() bool { return len(v.ends[q.generation]) > 0 }); err != nil {
			return v, fmt.Errorf("waiting for %s: %w; so far %q", q.generation, err, v.texts[q.generation])
		}
	}
}

// compare holds what the viewer has, what a viewer sees who comes late, and
// the transcript to the truth.
func compare(ctx context.Context, base string, v *viewer, asked []*question) error {
	last := asked[len(asked)-1].generation
	if err := v.follow(ctx, func() bool { return len(v.ends[last]) > 0 }); err != nil {
		return err
	}
	late := newViewer(base, v.session)
	if err := late.follow(ctx, func() bool { return len(late.ends[last]) > 0 }); err != nil {
		return err
	}
	turns, err := transcript(base, v.session)
	if err != nil {
		return err
	}
	if len(turns) != len(asked) || len(v.texts) != len(asked) {
		return fmt.Errorf("%d questions, %d turns, %d answers seen", len(asked), len(turns), len(v.texts))
	}
	for i, q := range asked {
		for name, w := range map[string]*viewer{"the viewer": v, "a late viewer": late} {
			got := w.texts[q.generation].String()
			end := "generation.done"
			if q.cut {
				end = "generation.failed"
			}
			if ends := w.ends[q.generation]; len(ends) != 1 || ends[0] != end {
				return fmt.Errorf("%s saw question %d end with %v", name, i, ends)
			}
			if got != q.want && (!q.cut || !strings.HasPrefix(q.want, got) || got == "") {
				return fmt.Errorf("%s has for question %d\n%q\nwant\n%q", name, i, got, q.want)
			}
			if got != turns[i].Text {
				return fmt.Errorf("%s has %q; the transcript has %q", name, got, turns[i].Text)
			}
		}
		if turns[i].Generation != q.generation {
			return fmt.Errorf("turn %d is of %s, want %s", i, turns[i].Generation, q.generation)
		}
	}
	return nil
}

type turn struct{ Generation, State, Text string }

func transcript(base, session string) ([]turn, error) {
	resp, err := http.Get(base + "/v1/sessions/" + session)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var t struct{ Turns []turn }
	return t.Turns, json.NewDecoder(resp.Body).Decode(&t)
}

func sum(xs []int) (n int) {
	for _, x := range xs {
		n += x
	}
	return n
}
