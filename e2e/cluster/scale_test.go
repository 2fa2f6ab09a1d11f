//go:build linux && cluster

package cluster_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/e2e/cluster"
)

var scale = flag.Bool("scale", false, "measure what one, two and three nodes do")

const (
	streams       = 300 // sessions that stream at once
	streamTokens  = 600
	streamRate    = 200 // tokens a second of each, which is more than there can be
	viewers       = 600 // of one session
	viewedTokens  = 1500
	viewedRate    = 100
	scaleDuration = 5 * time.Minute
)

// TestScale measures what a cluster of one, two and three nodes streams, and to how
// many. All of it, with the load, shares this machine.
func TestScale(t *testing.T) {
	if !*scale {
		t.Skip("a measurement: run it with -scale")
	}
	r := newRig(t, streamRate, "all", "all", "all")
	rows := []string{"| nodes | tokens a second, 300 streams | CPU of a token | events delivered a second, 600 viewers of one session |", "|---|---|---|---|"}
	for n := len(r.Nodes); n > 0; n-- {
		for _, p := range r.Nodes[n:] {
			p.Kill()
		}
		ctx, cancel := context.WithTimeout(t.Context(), scaleDuration)
		b, err := cluster.NewBalancer(ctx, r.URLs[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		gw, err := client.New("http://cluster", client.WithHTTPClient(&http.Client{Transport: b}))
		if err != nil {
			t.Fatal(err)
		}
		before := r.cpu(t)
		begin := time.Now()
		all := ask(t, gw, fmt.Sprintf("scale-%d", n), streams, streamTokens)
		var following sync.WaitGroup
		for _, c := range all {
			following.Go(func() {
				if err := c.follow(ctx, gw); err != nil || c.answer.Text() != c.want {
					t.Errorf("%s: %v", c.session, err)
				}
			})
		}
		following.Wait()
		tokens := float64(streams * streamTokens)
		perSecond, perToken := tokens/time.Since(begin).Seconds(), (r.cpu(t)-before).Seconds()/tokens
		delivered := r.view(ctx, t, gw, n)
		rows = append(rows, fmt.Sprintf("| %d | %.0f | %.0f µs | %.0f |", n, perSecond, perToken*1e6, delivered))
		cancel()
	}
	t.Log("\n" + strings.Join(rows, "\n"))
}

// cpu returns what the cluster's processes have used.
func (r *rig) cpu(t *testing.T) (sum time.Duration) {
	t.Helper()
	for _, p := range r.Processes() {
		used, err := p.CPU()
		if err != nil {
			t.Fatal(err)
		}
		sum += used
	}
	return sum
}

// view has viewers on n nodes follow one answer and returns how many events a
// second reached them together.
func (r *rig) view(ctx context.Context, t *testing.T, gw *client.Client, n int) float64 {
	t.Helper()
	session := fmt.Sprintf("viewed-%d", n)
	var events atomic.Int64
	var watching sync.WaitGroup
	for i := range viewers {
		watching.Go(func() {
			got, err := count(ctx, r.URLs[i%n]+"/v1/sessions/"+session+"/events")
			if err != nil {
				t.Error(err)
			}
			events.Add(got)
		})
	}
	begin := time.Now()
	prompt := fmt.Sprintf("Tell it to all. [[tokens=%d tps=%d]]", viewedTokens, viewedRate)
	if _, err := gw.Submit(ctx, runnel.SessionID(session), client.Prompt{Text: prompt}); err != nil {
		t.Fatal(err)
	}
	watching.Wait()
	return float64(events.Load()) / time.Since(begin).Seconds()
}

// count reads a session's events until one ends a generation, and counts them.
func count(ctx context.Context, url string) (n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // has been read
	mark, end := []byte("event: "), []byte("event: generation.done")
	buf, kept := make([]byte, 64<<10), 0
	for {
		got, err := resp.Body.Read(buf[kept:])
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		chunk := buf[:kept+got]
		whole := bytes.LastIndexByte(chunk, '\n') + 1
		n += int64(bytes.Count(chunk[:whole], mark))
		if bytes.Contains(chunk[:whole], end) {
			return n, nil
		}
		kept = copy(buf, chunk[whole:])
	}
}
