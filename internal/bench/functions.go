package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxPieceDelay is how late what a handler writes may be.
const maxPieceDelay = 50 * time.Millisecond

// measureFunctions asks a streaming handler, directly and through a function URL.
func (s *suite) measureFunctions(ctx context.Context, out *Section) error {
	out.How = "A handler writes ten lines, one every 10 ms, the first at once. It is asked directly, as an HTTP server, and through a function URL, as a process " +
		"of the gateway on the Runtime API. Processes run already. To the first byte: from sending the request. Late: from the handler's write of a line to its being read."
	out.Head = []string{"at once", "way", "requests", "to first byte p50", "p90", "p99", "late p50", "p99", "max"}
	direct, err := s.spawn(ctx, "bench", "handler", "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer direct.kill()
	gateway, err := s.functionGateway(ctx)
	if err != nil {
		return err
	}
	defer gateway.kill()
	for _, n := range s.plan.callers {
		alone, _, err := s.callHandler(ctx, out, "direct", direct.url.String(), n)
		if err != nil {
			return err
		}
		first, late, err := s.callHandler(ctx, out, "function URL", gateway.url.String()+"/functions/handler", n)
		if err != nil {
			return err
		}
		out.find(fmt.Sprintf("added time to a handler's first byte, %d at once, p50", n), added(first.p50-alone.p50))
		out.check(fmt.Sprintf("from a handler's write to its client, %d at once, p99", n), millis(late.p99), "< 50 ms", late.p99 < maxPieceDelay)
	}
	return nil
}

// functionGateway starts a gateway with the handler as a function.
func (s *suite) functionGateway(ctx context.Context) (*process, error) {
	file := filepath.Join(s.dir, "functions.yaml")
	config, err := json.Marshal(map[string]any{"functions": []map[string]any{{ // which is YAML, too
		"name": "handler", "command": []string{s.opts.Program, "bench", "handler"}, "concurrency": slices.Max(s.plan.callers), "env": append([]string{}, s.opts.env...),
		"url": map[string]string{"auth": "none", "mode": "stream"},
	}}})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return s.gateway(ctx, "--config", file)
}

// callHandler asks for answers, n at once, and reports how they came.
func (s *suite) callHandler(ctx context.Context, out *Section, name, url string, n int) (first, late dist, err error) {
	firsts, lates := make([][]time.Duration, n), make([][]time.Duration, n)
	from := time.Now().Add(s.plan.lead)
	until := from.Add(s.plan.ttftTime)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	defer client.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	for i := range n {
		group.Go(func() error {
			for {
				sent := time.Now()
				if sent.After(until) {
					return nil
				}
				first, delays, err := askHandler(ctx, client, url)
				if err != nil {
					return fmt.Errorf("bench: ask handler: %w", err)
				}
				if sent.After(from) {
					firsts[i], lates[i] = append(firsts[i], first.Sub(sent)), append(lates[i], delays...)
				}
			}
		})
	}
	err = group.Wait()
	first, late = summarize(slices.Concat(firsts...)), summarize(slices.Concat(lates...))
	s.say("  %d at once, %s: first byte p50 %s, late p99 %s", n, name, millis(first.p50), millis(late.p99))
	out.row(fmt.Sprint(n), name, fmt.Sprint(first.n), millis(first.p50), millis(first.p90), millis(first.p99), millis(late.p50), millis(late.p99), millis(late.max))
	return first, late, err
}

// askHandler returns when an answer's first line came, and how late each was.
func askHandler(ctx context.Context, client *http.Client, url string) (first time.Time, delays []time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return first, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return first, nil, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		written, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return first, nil, fmt.Errorf("%s: %w", resp.Status, err)
		}
		delays = append(delays, now.Sub(time.Unix(0, written)))
	}
	if err := lines.Err(); err != nil {
		return first, nil, err
	}
	if len(delays) != handlerPieces {
		return first, nil, fmt.Errorf("%d lines came, want %d", len(delays), handlerPieces)
	}
	return first, delays, nil
}
