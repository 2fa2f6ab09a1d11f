package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/runnelhq/runnel/internal/sse"
)

// errRefused is an answer that no repetition will change.
var errRefused = errors.New("refused")

// submit hands a prompt in until it is accepted, under one key, as a client
// that does not want to ask twice does.
func submit(ctx context.Context, base, session, prompt, key string) (generation string, err error) {
	body, err := json.Marshal(map[string]string{"prompt": prompt})
	if err != nil {
		return "", err
	}
	return post(ctx, base+"/v1/sessions/"+url.PathEscape(session)+"/prompts", body, key)
}

// post sends a request until it is accepted.
func post(ctx context.Context, to string, body []byte, key string) (generation string, err error) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			retryPause()
			continue
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusServiceUnavailable || err != nil:
			retryPause()
			continue
		case resp.StatusCode != http.StatusAccepted:
			return "", fmt.Errorf("%w: %d %s", errRefused, resp.StatusCode, answer)
		}
		var receipt struct{ Generation string }
		if err := json.Unmarshal(answer, &receipt); err != nil || receipt.Generation == "" {
			return "", fmt.Errorf("receipt %q: %w", answer, err)
		}
		return receipt.Generation, nil
	}
	return "", ctx.Err()
}

// A viewer follows one session as an EventSource does and keeps what a page
// would: the text of each generation, by the rules of docs/events.md.
type viewer struct {
	base, session string
	cursor        string
	texts         map[string]*strings.Builder
	ends          map[string][]string // terminal events since the last reset
	resets        int
	reset         []string // their texts
	connections   int
}

func newViewer(base, session string) *viewer {
	return &viewer{base: base, session: session, texts: map[string]*strings.Builder{}, ends: map[string][]string{}}
}

// follow reads until done says so, reconnecting with the cursor.
func (v *viewer) follow(ctx context.Context, done func() bool) error {
	for !done() {
		if err := v.connect(ctx, done); errors.Is(err, errRefused) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		retryPause()
	}
	return nil
}

func (v *viewer) connect(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/v1/sessions/"+url.PathEscape(v.session)+"/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if v.cursor != "" {
		req.Header.Set("Last-Event-ID", v.cursor)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %d", errRefused, resp.StatusCode)
	}
	v.connections++
	for r := sse.NewReader(resp.Body, 8<<20); !done(); {
		f, err := r.Next()
		if err != nil {
			return err
		}
		if err := v.apply(string(f.Type), f.Data, string(f.ID)); err != nil {
			return err
		}
	}
	return nil
}

func (v *viewer) apply(typ string, data []byte, id string) error {
	var body struct{ Generation, Type, Text string }
	if err := json.Unmarshal(data, &body); err != nil {
		return fmt.Errorf("%w: a body that is not JSON: %q", errRefused, data)
	}
	if body.Type != typ {
		return fmt.Errorf("%w: event %q with the body %s", errRefused, typ, data)
	}
	text := v.texts[body.Generation]
	if text == nil {
		text = &strings.Builder{}
		v.texts[body.Generation] = text
	}
	switch typ {
	case "delta":
		text.WriteString(body.Text)
	case "reset":
		v.resets++
		v.reset = append(v.reset, body.Text)
		if body.Generation == "" {
			clear(v.texts)
			clear(v.ends)
			break
		}
		text.Reset()
		text.WriteString(body.Text)
		delete(v.ends, body.Generation)
	case "generation.done", "generation.failed", "generation.cancelled":
		v.ends[body.Generation] = append(v.ends[body.Generation], typ)
	}
	if id != "" {
		v.cursor = id
	}
	return nil
}
