package wsapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/wsapi"
)

func table(t *testing.T, apis ...wsapi.API) *wsapi.Table {
	t.Helper()
	found, err := wsapi.NewTable(apis)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFind(t *testing.T) {
	t.Parallel()
	tab := table(t, wsapi.API{Name: "any"}, wsapi.API{Name: "own", Hosts: []string{"WS.example.com"}, Stages: []string{"live", "test"}, Root: "live"})
	for _, tt := range []struct {
		host, segment, api, stage string
		ok                        bool
	}{
		{"127.0.0.1:8080", "dev", "any", "dev", true},
		{"localhost", "prod", "any", "prod", true},
		{"localhost", "live", "any", "live", false},
		{"localhost", "", "any", "", false},
		{"[::1]:80", "dev", "any", "dev", true},
		{"ws.EXAMPLE.com:8443", "test", "own", "test", true},
		{"ws.example.com", "", "own", "live", true},
		{"ws.example.com", "dev", "own", "dev", false},
	} {
		api, stage, ok := tab.Find(tt.host, tt.segment)
		if api == nil || api.Name != tt.api || stage != tt.stage || ok != tt.ok {
			t.Errorf("%s/%s: got %+v, %q, %v", tt.host, tt.segment, api, stage, ok)
		}
	}
	if _, _, ok := table(t, wsapi.API{Name: "own", Hosts: []string{"a"}}).Find("b", "dev"); ok {
		t.Error("an API answers for a host that it has not")
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	routes := []wsapi.Route{
		{Key: wsapi.Connect, Integration: wsapi.Mock}, {Key: "$stream", Integration: wsapi.Stream}, {Key: "ping", Integration: wsapi.Mock},
	}
	withDefault := append([]wsapi.Route{{Key: wsapi.Default, Integration: wsapi.Mock}}, routes...)
	for _, tt := range []struct {
		message, without, with string
	}{
		{`{"action":"ping"}`, "ping", "ping"},
		{`{"action":"stream"}`, "$stream", "$stream"},
		{`{"action":"$stream"}`, "$stream", "$stream"},
		{`{"action":"$connect"}`, "", "$default"},
		{`{"action":"$default"}`, "", "$default"},
		{`{"action":"connect"}`, "", "$default"},
		{`{"action":""}`, "", "$default"},
		{`hello`, "", "$default"},
	} {
		for _, c := range []struct {
			routes []wsapi.Route
			want   string
		}{{routes, tt.without}, {withDefault, tt.with}} {
			got := ""
			if r := table(t, wsapi.API{Name: "a", Routes: c.routes}).All()[0].Select([]byte(tt.message)); r != nil {
				got = r.Key
			}
			if got != c.want {
				t.Errorf("%s: got %q, want %q", tt.message, got, c.want)
			}
		}
	}
}

// Without any configuration there are two stages with all that is built in.
func TestBuiltin(t *testing.T) {
	t.Parallel()
	tab := table(t)
	for _, stage := range []string{"dev", "prod"} {
		if _, _, ok := tab.Find("localhost:8080", stage); !ok {
			t.Errorf("there is no stage %s", stage)
		}
	}
	for _, key := range []string{"sendtext", "stream", "lex", "ping", "runnel"} {
		if r := tab.All()[0].Select([]byte(`{"action":"` + key + `"}`)); r == nil || r.Key != key {
			t.Errorf("%s takes %v", key, r)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	with := func(r wsapi.Route) []wsapi.API { return []wsapi.API{{Name: "a", Routes: []wsapi.Route{r}}} }
	many := make([]wsapi.Route, 301)
	for _, tt := range []struct {
		name string
		apis []wsapi.API
		want string
	}{
		{"no name", []wsapi.API{{}}, "[0].name"},
		{"same name", []wsapi.API{{Name: "a"}, {Name: "a", Hosts: []string{"h"}}}, "[1].name"},
		{"same host", []wsapi.API{{Name: "a"}, {Name: "b"}}, "[1].hosts"},
		{"host with port", []wsapi.API{{Name: "a", Hosts: []string{"h:1"}}}, "[0].hosts"},
		{"stage", []wsapi.API{{Name: "a", Stages: []string{"a/b"}}}, "[0].stages"},
		{"stage twice", []wsapi.API{{Name: "a", Stages: []string{"x", "x"}}}, "[0].stages"},
		{"another's path", []wsapi.API{{Name: "a", Stages: []string{"v1"}}}, "[0].stages: another door"},
		{"root", []wsapi.API{{Name: "a", Hosts: []string{"h"}, Root: "x"}}, "[0].root"},
		{"root for all", []wsapi.API{{Name: "a", Root: "dev"}}, "[0].root"},
		{"selection", []wsapi.API{{Name: "a", Selection: "$x"}}, "[0].selection"},
		{"routes", []wsapi.API{{Name: "a", Routes: many}}, "[0].stages"},
		{"route twice", []wsapi.API{{Name: "a", Routes: []wsapi.Route{{Key: "$x", Integration: "mock"}, {Key: "x", Integration: "mock"}}}}, "[0].routes[1].key"},
		{"no key", with(wsapi.Route{Integration: "mock"}), "[0].routes[0].key"},
		{"kind", with(wsapi.Route{Key: "a", Integration: "lambda!"}), "[0].routes[0].integration"},
		{"answer at the end", with(wsapi.Route{Key: "$disconnect", Integration: "lex"}), "integration"},
		{"answer at the beginning", with(wsapi.Route{Key: "$connect", Integration: "sendtext"}), "integration"},
		{"url", with(wsapi.Route{Key: "a", Integration: "http", URL: "localhost:80"}), "url"},
		{"url of mock", with(wsapi.Route{Key: "a", Integration: "mock", URL: "http://h"}), "url"},
		{"timeout", with(wsapi.Route{Key: "a", Integration: "http", URL: "http://h", Timeout: time.Hour}), "timeout"},
		{"dialect", with(wsapi.Route{Key: "a", Integration: "stream", Dialect: "x"}), "dialect"},
		{"dialect of lex", with(wsapi.Route{Key: "a", Integration: "lex", Dialect: "token"}), "dialect"},
		{"model of mock", with(wsapi.Route{Key: "a", Integration: "mock", Model: "m"}), "model"},
	} {
		if err := wsapi.Validate(tt.apis); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := wsapi.Validate([]wsapi.API{wsapi.Builtin()}); err != nil {
		t.Error(err)
	}
}
