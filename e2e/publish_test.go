package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPublishKill publishes into twenty sessions of a gateway that is killed
// again and again. Every piece that was acknowledged must be in its answer, once
// and in order, for every viewer.
func TestPublishKill(t *testing.T) {
	t.Parallel()
	sessions, kills := 20, 8
	if testing.Short() {
		sessions, kills = 8, 3
	}
	g := newGateway(t, "--attempts", "100")
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()

	running := make(chan struct{}) // closed when the killing is over
	var wg sync.WaitGroup
	pieces, resets := make([]int, sessions), make([]int, sessions)
	for i := range sessions {
		wg.Go(func() {
			p := &publisher{base: g.url(""), session: fmt.Sprintf("published-%d", i)}
			if err := p.run(ctx, running); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
			pieces[i], resets[i] = p.pieces, p.resets
		})
	}
	killed := 0
	for ; killed < kills && !t.Failed(); killed++ {
		<-time.After(300*time.Millisecond + rand.N(700*time.Millisecond))
		g.kill()
		g.start()
	}
	close(running)
	wg.Wait()
	t.Logf("%d pieces into %d sessions, %d kills, %d resets", sum(pieces), sessions, killed, sum(resets))
}

// A publisher produces one answer after the other in one session.
type publisher struct {
	base, session  string
	pieces, resets int
}

// run publishes as long as the gateway is being killed, and compares.
func (p *publisher) run(ctx context.Context, running <-chan struct{}) error {
	v := newViewer(p.base, p.session)
	var want []turn
	for over := false; !over; {
		select {
		case <-running:
			over = true
		default:
		}
		answer, err := p.answer(ctx, len(want))
		if err != nil {
			return err
		}
		want = append(want, answer)
		if len(want)%2 == 0 {
			continue // the next one has to wait for its turn
		}
		if err := v.follow(ctx, func() bool { return len(v.ends[answer.Generation]) > 0 }); err != nil {
			return fmt.Errorf("waiting for %s: %w; so far %q", answer.Generation, err, v.texts[answer.Generation])
		}
	}
	p.resets = v.resets
	return p.compare(ctx, v, want)
}

// answer publishes one, piece after piece, each again until it is acknowledged.
func (p *publisher) answer(ctx context.Context, n int) (turn, error) {
	var text strings.Builder
	send := func(body map[string]any) (string, error) {
		p.pieces++
		data, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		return post(ctx, p.base+"/v1/sessions/"+p.session+"/events", data, fmt.Sprint("piece ", p.pieces))
	}
	generation, err := send(map[string]any{"type": "generation.started", "model": "theirs"})
	if err != nil {
		return turn{}, err
	}
	for i := range 40 {
		word := fmt.Sprintf("%d.%d ", n, i)
		body := map[string]any{"type": "delta", "text": word}
		if i%2 == 0 {
			body["data"] = map[string]int{"n": i}
		}
		if i%10 == 0 {
			body["generation"] = generation
		}
		got, err := send(body)
		if err == nil && got != generation {
			err = fmt.Errorf("piece %d of %s became one of %s", i, generation, got)
		}
		if err != nil {
			return turn{}, err
		}
		text.WriteString(word)
	}
	_, err = send(map[string]any{"type": "generation.done"})
	return turn{Generation: generation, State: "done", Text: text.String()}, err
}

// compare holds the viewer, one who comes late, and the transcript to what was
// acknowledged.
func (p *publisher) compare(ctx context.Context, v *viewer, want []turn) error {
	late := newViewer(p.base, p.session)
	last := want[len(want)-1].Generation
	for _, w := range []*viewer{v, late} {
		if err := w.follow(ctx, func() bool { return len(w.ends[last]) > 0 }); err != nil {
			return err
		}
	}
	turns, err := transcript(p.base, p.session)
	if err != nil {
		return err
	}
	if len(turns) != len(want) || len(v.texts) != len(want) {
		return fmt.Errorf("%d answers were published; %d turns, %d answers seen", len(want), len(turns), len(v.texts))
	}
	for i, answer := range want {
		if turns[i] != answer {
			return fmt.Errorf("turn %d is %+v, want %+v", i, turns[i], answer)
		}
		for name, w := range map[string]*viewer{"the viewer": v, "a late viewer": late} {
			if ends := w.ends[answer.Generation]; len(ends) != 1 || ends[0] != "generation.done" {
				return fmt.Errorf("%s saw answer %d end with %v", name, i, ends)
			}
			if got := w.texts[answer.Generation].String(); got != answer.Text {
				return fmt.Errorf("%s has for answer %d\n%q\nwant\n%q", name, i, got, answer.Text)
			}
		}
	}
	return nil
}

// TestPublishStop: whoever publishes is told of a stop, over HTTP.
func TestPublishStop(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	to := g.url("/v1/sessions/stopped/events")
	generation, err := post(ctx, to, []byte(`{"type":"delta","text":"a"}`), "1")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(g.url("/v1/generations/"+generation+"/cancel"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for i := 2; ; i++ { // until it has been carried out
		if _, err = post(ctx, to, []byte(`{"type":"delta","text":"b"}`), fmt.Sprint(i)); err != nil {
			break
		}
	}
	if !strings.Contains(err.Error(), `409 {"error":{"kind":"cancelled"`) {
		t.Errorf("after the stop: %v", err)
	}
}
