package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

// adminView is what the door of operators says, as far as the test looks.
type adminView struct {
	Node        string
	QueueDepth  int `json:"queue_depth"`
	Generations []struct {
		Generation, Session, State, Model, Node string
		Fragments                               int
	}
	Nodes []struct {
		Node    string
		Figures struct {
			Readers      map[string]int
			Connections  int
			SessionsRead int `json:"sessions_read"`
			InFlight     int `json:"in_flight"`
			Models       map[string]struct {
				Attempts   int
				FirstToken struct{ Count int } `json:"first_token"`
			}
		}
	}
}

// TestAdmin sees another user's answer while it is given, and stops it.
func TestAdmin(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "echo?ttft=0s&tps=20&tokens=100000")
	bob := keyed(t, &cfg, auth.Key{Name: "bob", User: true})
	// A service, which may do nothing else.
	root := keyed(t, &cfg, auth.Key{Name: "root", Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Admin}}}})
	node, l := start(t, cfg)
	c := newCaller(t, "http://"+node.Addr().String())

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/sessions/mine/prompts", strings.NewReader(`{"prompt":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", bob)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	var v adminView
	for len(v.Generations) == 0 || v.Generations[0].Fragments == 0 {
		v = adminView{}
		c.overview(t, root, &v)
	}
	g := v.Generations[0]
	if len(v.Generations) != 1 || g.Session != "mine" || g.State != "running" || g.Model != cfg.Model[0] && g.Model != "echo" || g.Node != v.Node || v.QueueDepth != 1 {
		t.Errorf("got %+v", v)
	}
	f := v.Nodes[0].Figures
	if len(v.Nodes) != 1 || f.Readers["http"] != 1 || f.Connections == 0 || f.SessionsRead != 1 || f.InFlight != 1 || f.Models[g.Model].FirstToken.Count != 1 {
		t.Errorf("figures %+v", v.Nodes)
	}
	stop := "/v1/admin/generations/" + g.Generation + "/cancel"
	if code := c.status(t, "POST", stop, "", with("X-Api-Key", bob)); code != http.StatusForbidden {
		t.Errorf("a user may stop: %d", code)
	}
	if code := c.status(t, "POST", stop, "", nil); code != http.StatusUnauthorized {
		t.Errorf("anybody may stop: %d", code)
	}
	if code := c.status(t, "POST", stop, "", with("X-Api-Key", root)); code != http.StatusOK {
		t.Errorf("an administrator may not stop: %d", code)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(rest), "generation.cancelled") {
		t.Errorf("the answer goes on, or %v: %s", err, rest)
	}
	if err := node.Stop(); err != nil {
		t.Error(err)
	}
	told := strings.Join(audited(t, l.String()), "\n")
	for _, want := range []string{"acted key:root stop " + g.Generation, "acted key:root cancel mine", "refused api_key grants key:bob admin", "refused no_credentials"} {
		if !strings.Contains(told, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, told)
		}
	}
}

func (c caller) overview(t *testing.T, key string, v *adminView) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/admin/overview", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
}
