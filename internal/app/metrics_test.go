package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/app"
)

var (
	documentedMetric = regexp.MustCompile("(?m)^\\| `(runnel_[a-z_]+)` \\|")
	namedMetric      = regexp.MustCompile(`\b((?:runnel|process|go)_[a-z_]+)`)
	family           = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
)

// busyNode is one of whose metrics none is missing: it has answered, failed,
// repeated a call, and been published to.
func busyNode(t *testing.T) *app.App {
	t.Helper()
	model := newTracedModel(t, 1)
	cfg := settings(t, "openai/good?base_url="+model.url)
	cfg.Models = map[string][]string{"broken": {"openai/broken?base_url=http://127.0.0.1:1"}}
	cfg.Retries = 1
	node, _ := start(t, cfg)
	askTraced(t, node, "/v1/sessions/s/prompts", `{"prompt":"hello"}`)
	askTraced(t, node, "/v1/sessions/s/prompts", `{"prompt":"hello","model":"broken"}`)
	askTraced(t, node, "/v1/sessions/p/events", `{"type":"delta","text":"from outside"}`)
	askTraced(t, node, "/v1/sessions/p/events", `{"type":"generation.done"}`)
	return node
}

func scrape(t *testing.T, node *app.App) string {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + node.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func names(matches [][]string) (found []string) {
	for _, m := range matches {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestMetricsAreDocumented holds docs/operate.md and the dashboard to what a node
// really shows.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	node := busyNode(t)
	shown := scrape(t, node)
	if err := node.Stop(); err != nil {
		t.Error(err)
	}
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	all := map[string]bool{}
	for _, m := range family.FindAllStringSubmatch(shown, -1) {
		all[m[1]] = true
		if m[2] == "histogram" {
			all[m[1]+"_bucket"], all[m[1]+"_count"], all[m[1]+"_sum"] = true, true, true
		}
		if strings.HasPrefix(m[1], "runnel_") {
			ours = append(ours, m[1])
		}
	}
	slices.Sort(ours)
	if diff := cmp.Diff(ours, names(documentedMetric.FindAllStringSubmatch(string(page), -1))); diff != "" {
		t.Errorf("the table in docs/operate.md (-shown +documented):\n%s", diff)
	}

	dashboard, err := os.ReadFile("../../deploy/grafana/runnel.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			named := names(namedMetric.FindAllStringSubmatch(target.Expr, -1))
			if len(named) == 0 {
				t.Errorf("%s: %q names no metric", p.Title, target.Expr)
			}
			for _, name := range named {
				if used[name] = true; !all[name] {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
			}
		}
	}
	for _, name := range ours {
		if !used[name] && !used[name+"_bucket"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}
