package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/config"
	"github.com/runnelhq/runnel/internal/limit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// file writes a configuration file and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "runnel.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	src := config.Sources{
		File: file(t, `
flush_chunks: 2
history_turns: 3
max_prompt: 64KiB
model: [ollama/llama3.2, echo]
models:
  fast: openai/gpt-5-mini, echo
  smart:
    - anthropic/claude
cors_origins: []
`),
		Environ: []string{"RUNNEL_FLUSH_CHUNKS=4", "RUNNEL_RETRIES=0", "RUNNEL_HISTORY_TURNS=", "HOME=/nowhere", "RUNNEL_SERVER=http://x"},
		Foreign: []string{"RUNNEL_SERVER"},
		Flags:   map[string][]string{"flush-chunks": {"8"}, "cors-origins": {"https://a.example", "https://b.example,https://c.example"}},
	}
	got, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.FlushChunks, want.HistoryTurns, want.Retries, want.MaxPrompt = 8, 3, 0, 64<<10
	want.Model = []string{"ollama/llama3.2", "echo"}
	want.Models = map[string][]string{"fast": {"openai/gpt-5-mini", "echo"}, "smart": {"anthropic/claude"}}
	want.CORSOrigins = []string{"https://a.example", "https://b.example", "https://c.example"}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
	wantOrigins := map[string]string{
		"flush-chunks": "--flush-chunks", "retries": "RUNNEL_RETRIES", "cors-origins": "--cors-origins",
		"history-turns": src.File + ":3", "max-prompt": src.File + ":4", "model": src.File + ":5", "models": src.File + ":6",
	}
	if diff := cmp.Diff(wantOrigins, got.Origins); diff != "" {
		t.Errorf("origins differ (-want +got):\n%s", diff)
	}
}

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	c := config.Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.FirstTokenTimeout != time.Minute {
		t.Errorf("first-token-timeout is %v, want 1m", c.FirstTokenTimeout)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		src  config.Sources
		file string
		want string // pattern
	}{
		{name: "unknown key", file: "flush_chunk: 3\n", want: `runnel.yaml:1: unknown setting "flush_chunk"; did you mean "flush_chunks"\?\n> +1 \| flush_chunk: 3`},
		{name: "unlike any key", file: "banana: 3\n", want: `unknown setting "banana"; .runnel config. lists`},
		{name: "duplicate key", file: "model: a\nmodel: b\n", want: `runnel.yaml:2: mapping key "model" already defined`},
		{name: "syntax", file: "model: [a\n", want: `runnel.yaml:1: `},
		{name: "not a mapping", file: "- a\n", want: `runnel.yaml:1: expected settings, such as`},
		{name: "two documents", file: "model: a\n---\nmodel: b\n", want: `more than one document`},
		{name: "wrong type", file: "listen: x\nflush_chunks: many\n", want: `runnel.yaml:2: flush_chunks: "many" is not a whole number; allowed: 1 to 4096\n`},
		{name: "a list for one", file: "listen: [a, b]\n", want: `listen: it takes one value, not a list`},
		{name: "a mapping for one", file: "listen:\n  a: b\n", want: `listen: expected a value, not a mapping`},
		{name: "no value", file: "listen:\n", want: `listen: the value is missing`},
		{name: "empty route", file: "models:\n  fast: []\n", want: `models: fast: the route has no model`},
		{name: "models is a list", file: "models: [a]\n", want: `models: expected names with their values`},
		{name: "alias", file: "listen: &a b\ndata_dir: *a\n", want: `expected a value, not a`},
		{name: "unknown variable", src: config.Sources{Environ: []string{"RUNNEL_FLUSHCHUNKS=1"}}, want: `^unknown variable "RUNNEL_FLUSHCHUNKS"; did you mean "RUNNEL_FLUSH_CHUNKS"\?$`},
		{name: "file only", src: config.Sources{Environ: []string{"RUNNEL_MODELS=a"}}, want: `did you mean "RUNNEL_MODEL"`},
		{name: "variable out of range", src: config.Sources{Environ: []string{"RUNNEL_FLUSH_CHUNKS=0"}}, want: `^RUNNEL_FLUSH_CHUNKS: 0 is out of range; allowed: 1 to 4096$`},
		{name: "duration", src: config.Sources{Flags: map[string][]string{"heartbeat": {"15"}}}, want: `^--heartbeat: "15" is not a time with its unit, .*; allowed: 100ms to 10m$`},
		{name: "size", src: config.Sources{Flags: map[string][]string{"max-prompt": {"1MB"}}}, want: `^--max-prompt: "1MB" is not a size; write bytes or a unit`},
		{name: "size overflow", src: config.Sources{Flags: map[string][]string{"max-prompt": {"9999999999GiB"}}}, want: `is not a size`},
		{name: "word", src: config.Sources{Flags: map[string][]string{"session-mode": {"line"}}}, want: `^--session-mode: "line" is not one of the allowed words; allowed: queue, reject or parallel$`},
		{name: "bool", src: config.Sources{Environ: []string{"RUNNEL_INSECURE=maybe"}}, want: `^RUNNEL_INSECURE: "maybe" is neither true nor false$`},
		{name: "twice", src: config.Sources{Flags: map[string][]string{"listen": {"a:1", "b:2"}}}, want: `^--listen: it takes one value, not 2$`},
		{name: "address", src: config.Sources{Environ: []string{"RUNNEL_LISTEN=8080"}}, want: `^RUNNEL_LISTEN: --listen: "8080" is not an address`},
		{name: "port", src: config.Sources{Flags: map[string][]string{"listen": {"127.0.0.1:99999"}}}, want: `^--listen: "99999" is not a port`},
		{name: "proxy", file: "trusted_proxies: [10.0.0.0/8, proxy.test]\n", want: `runnel.yaml:1: --trusted-proxies: "proxy.test" is neither a network nor an address`},
		{name: "two certificates", file: "dev_tls: true\ntls_cert: a\ntls_key: b\n", want: `runnel.yaml:1: --dev-tls: there is a certificate already`},
		{name: "no key", src: config.Sources{Flags: map[string][]string{"tls-cert": {"a"}}}, want: `^--tls-cert: its key is missing; set --tls-key`},
		{name: "a key alone", src: config.Sources{Flags: map[string][]string{"tls-key": {"a"}}}, want: `^--tls-key: it has no effect without --tls-cert`},
		{name: "TLS is no credential", src: config.Sources{Flags: map[string][]string{"listen": {":8080"}, "dev-tls": {"true"}}}, want: `^--listen: :8080 can be reached`},
		{name: "all interfaces", src: config.Sources{Flags: map[string][]string{"listen": {":8080"}}}, want: `^--listen: :8080 can be reached from other machines(.|\n)*--insecure`},
		{name: "no model", src: config.Sources{Flags: map[string][]string{"model": {""}}}, want: `^--model: there must be a model`},
		{name: "nats scheme", src: config.Sources{Flags: map[string][]string{"nats-url": {"http://h:1"}}}, want: `^--nats-url: "http" is not a scheme`},
		{name: "nats secret", src: config.Sources{Flags: map[string][]string{"nats-url": {"nats://u:pa ss@:x"}}}, want: `^--nats-url: it is not a URL; write it like nats://host:4222$`},
		{name: "creds without nats", src: config.Sources{Flags: map[string][]string{"nats-creds": {"x"}}}, want: `^--nats-creds: it has no effect without --nats-url$`},
		{name: "replicas without nats", src: config.Sources{Flags: map[string][]string{"nats-replicas": {"3"}}}, want: `^--nats-replicas: it has no effect`},
		{name: "origin", src: config.Sources{Flags: map[string][]string{"cors-origins": {"https://a.example/"}}}, want: `^--cors-origins: "https://a.example/" is not an origin`},
		{name: "unknown member", file: "keys:\n  - name: a\n    hsh: b\n", want: `runnel.yaml:3: keys\[0\]: unknown setting "hsh"; did you mean "hash"\?\n(.|\n)*> +3 \|     hsh: b`},
		{name: "bad hash", file: "keys:\n  - name: a\n    hash: b\n", want: `runnel.yaml:3: keys\[0\].hash: it must be sha256: (.|\n)*> +3 \|     hash: b`},
		{name: "a function of nowhere", file: "functions:\n  - name: f\n", want: `runnel.yaml:2: functions\[0\].name: say where it runs`},
		{name: "a function's size", file: "functions:\n  - name: f\n    command: [f]\n    memory: much\n", want: `runnel.yaml:4: functions\[0\].memory: "much" is not a whole number`},
		{name: "a function twice", file: "functions:\n  - {name: f, command: f}\n  - {name: f, command: f}\n", want: `runnel.yaml:3: functions\[1\].name: another function is called "f"`},
		{name: "a function for nobody", file: "functions:\n  - name: f\n    command: [f]\n    url: {auth: iam}\n", want: `runnel.yaml:4: functions\[0\].url.auth: nobody could use it`},
		{name: "a webhook without a function", file: "webhook:\n  form: appsync\n  url: function://nobody\n", want: `runnel.yaml:3: webhook.url: functions has none of the name "nobody"`},
		{name: "a route without a function", file: "websocket_apis:\n  - name: a\n    routes:\n      - {key: x, integration: http, url: function://nobody}\n", want: `runnel.yaml:4: websocket_apis\[0\].routes\[0\].url: functions has none`},
		{name: "bad limit", file: "limits:\n  default:\n    rate: fast\n", want: `runnel.yaml:3: limits.default.rate: "fast" is not a number`},
		{name: "bad count", file: "limits:\n  default:\n    burst: 1.5\n", want: `runnel.yaml:3: limits.default.burst: "1.5" is not a whole number`},
		{name: "bad limit of size", file: "limits:\n  default: {max_body: big}\n", want: `runnel.yaml:2: limits.default.max_body: "big" is not a size`},
		{name: "negative limit", file: "limits:\n  default:\n    rate: -2\n", want: `runnel.yaml:3: limits.default: rate must be a limit, or -1 for none`},
		{name: "unknown limit", file: "limits:\n  rules:\n    - groups: [a]\n      brust: 3\n", want: `runnel.yaml:4: limits.rules\[0\]: unknown setting "brust"; did you mean "burst"\?`},
		{name: "limits for nobody", file: "limits:\n  rules:\n    - rate: 3\n", want: `runnel.yaml:3: limits.rules\[0\]: it is for nobody`},
		{name: "keys is a mapping", file: "keys: {a: b}\n", want: `runnel.yaml:1: keys: expected a list`},
		{name: "no keys", file: "keys:\n", want: `keys: expected a list`},
		{name: "issuer for everybody", file: "issuers:\n  - issuer: https://id.example\n", want: `issuers\[0\].audiences: name at least one`},
		{name: "member's type", file: "webhook: {url: https://a.example, ttl: soon}\n", want: `webhook.ttl: "soon" is not a time with its unit`},
		{name: "member's date", file: "keys: [{expires: tomorrow}]\n", want: `keys\[0\].expires: "tomorrow" is not a date`},
		{name: "member's switch", file: "keys: [{user: maybe}]\n", want: `keys\[0\].user: "maybe" is neither true nor false`},
		{name: "secret that is not there", file: "iam: {keys: [{access_key: a, secret: env:NOT_SET}]}\n", want: `iam.keys\[0\].secret: the variable NOT_SET is not set`},
		{name: "guessable secret", file: "iam:\n  keys:\n    - access_key: a\n      secret: short\n", want: `runnel.yaml:\d+: iam.keys\[0\]: secret must have at least`},
		{name: "no such file", src: config.Sources{File: "nowhere.yaml"}, want: `read file: open nowhere.yaml`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.file != "" {
				tt.src.File = file(t, tt.file)
			}
			_, err := config.Load(tt.src)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("got %q\nwant a match of %q", err, tt.want)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]map[string][]string{
		"loopback v6":  {"listen": {"[::1]:0"}},
		"localhost":    {"listen": {"localhost:80"}},
		"insecure":     {"listen": {"0.0.0.0:80"}, "insecure": {"true"}},
		"any origin":   {"cors-origins": {"*"}},
		"nats":         {"nats-url": {"nats://a:4222,tls://b:4222"}, "nats-replicas": {"3"}},
		"zero retries": {"retries": {"0"}},
	} {
		if _, err := config.Load(config.Sources{Flags: flags}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.Load(config.Sources{File: file(t, "# nothing\n")}); err != nil {
		t.Errorf("empty file: %v", err)
	}
}

const secret = "not-a-real-secret-0123456789"

// access is a part of a file that has something of every kind.
const access = `
keys:
  - name: backend
    hash: sha256:0000000000000000000000000000000000000000000000000000000000000001
    expires: 2030-01-31T00:00:00Z
    grants: [{actions: [submit, read], sessions: team-*}]
issuers:
  - {issuer: https://id.example, audiences: [chat, web], leeway: 5s, service: true}
webhook: {url: "https://auth.example/?token=s3cr3t", form: appsync, ttl: 5m}
iam:
  keys: [{access_key: AKIDLOCAL, secret: ` + secret + `, actions: "bedrock:*"}]
  regions: us-east-1
limits:
  default: {rate: 2.5, burst: 10, connections: 20, generations: 4, prompts_per_day: 500, tokens_per_day: 1000000, max_body: 64KiB}
  rules:
    - {principals: "key:batch-*", rate: -1, max_frame: -1, max_prompt: 4096}
    - {groups: [premium], generations: 16}
`

func TestAccess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(config.Sources{
		File: file(t, `
listen: 0.0.0.0:80
iam:
  keys:
    - {access_key: A, secret: env:RUNNEL_IAM_SECRET}
    - {access_key: B, secret: "file:`+path+`"}
`),
		Environ: []string{"RUNNEL_IAM_SECRET=" + secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Authenticates() || string(got.IAM.Keys[0].Secret) != secret || got.IAM.Keys[1].Secret != got.IAM.Keys[0].Secret {
		t.Errorf("read %d keys, not those of the file", len(got.IAM.Keys))
	}

	got, err = config.Load(config.Sources{File: file(t, access)})
	if err != nil {
		t.Fatal(err)
	}
	want := auth.Key{
		Name: "backend", Hash: "sha256:" + strings.Repeat("0", 63) + "1", Expires: time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC),
		Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Submit, runnel.Read}, Sessions: []string{"team-*"}}},
	}
	if diff := cmp.Diff([]auth.Key{want}, got.Keys); diff != "" {
		t.Errorf("keys differ (-want +got):\n%s", diff)
	}
	limits := limit.Config{
		Default: limit.Limits{
			Rate: 2.5, Burst: 10, Connections: 20, Generations: 4, Prompts: 500, Tokens: 1_000_000, MaxBody: 64 << 10,
		},
		Rules: []limit.Rule{
			{Principals: []string{"key:batch-*"}, Limits: limit.Limits{Rate: limit.Unlimited, MaxFrame: limit.Unlimited, MaxPrompt: 4096}},
			{Groups: []string{"premium"}, Limits: limit.Limits{Generations: 16}},
		},
	}
	if diff := cmp.Diff(limits, got.Limits); diff != "" {
		t.Errorf("limits differ (-want +got):\n%s", diff)
	}
}

// An excerpt of the file that shows a mistake must not show a secret beside it.
func TestExcerptsHideSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"iam:\n  keys:\n    - secret: " + secret + "\n      acces_key: a\n",
		"iam:\n  keys:\n    - {session_token: \"" + secret + "\", acces_key: a}\n",
		"iam:\n  keys:\n    - secret: |\n        " + secret + "\n      acces_key: a\n",
		"nats_url: nats://me:" + secret + "@h:4222\nbanana: 1\n",
		"iam: {keys: [{secret: " + secret + "}\n",
	} {
		_, err := config.Load(config.Sources{File: file(t, text)})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

const functions = `functions:
  - name: f
    command: [node, f.mjs]
    env: [API_KEY=hunter2, HOME]
    memory: 256
    timeout: 5m
    url: {auth: none, mode: stream, cors: {origins: "*", max_age: 1h}}
  - {name: g, http: "https://h/f?key=hunter2"}
`

func TestPrint(t *testing.T) {
	t.Parallel()
	flags := map[string][]string{
		"nats-url":   {"nats://me:hunter2@h:4222", "nats://s3cr3t@h:4222/"},
		"model":      {"openai/gpt?api_key=sk-1&tokens=5", "echo"},
		"nats-creds": {"/run/creds: # not a comment"},
		"insecure":   {"true"},
		"max-prompt": {"65537"},
		"retention":  {"90m"},
	}
	l, err := config.Load(config.Sources{File: file(t, "models:\n  b: echo\n  a: [echo, openai/x]\n"+functions+access), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	for name, origin := range l.Origins {
		if at := strings.LastIndexByte(origin, ':'); at >= 0 {
			l.Origins[name] = "runnel.yaml" + origin[at:]
		}
	}
	var out bytes.Buffer
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "config.yaml", out.String())

	printed := strings.ReplaceAll(out.String(), `"********"`, secret)
	again, err := config.Load(config.Sources{File: file(t, printed)})
	if err != nil {
		t.Fatalf("the printed configuration does not load: %v", err)
	}
	again.Functions[0].Env, again.Functions[1].HTTP = l.Functions[0].Env, l.Functions[1].HTTP
	again.NATSURL, again.Model, again.Webhook.URL = l.NATSURL, l.Model, l.Webhook.URL // these are masked
	if diff := cmp.Diff(l.Config, again.Config, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the printed configuration means something else (-want +got):\n%s", diff)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := config.WriteSchema(&out); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out.Bytes()) {
		t.Error("the schema is not JSON")
	}
	golden(t, "schema.json", out.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range config.Settings() {
		if s.Name == "" || s.Group == "" || s.Help == "" || strings.HasSuffix(s.Help, ".") || s.Name != strings.ToLower(s.Name) {
			t.Errorf("%+v: every setting has a name, a group, and a help text without its full stop", s)
		}
		if s.Arg == "" && !s.IsBool() && !s.FileOnly {
			t.Errorf("%s: nothing stands for its value in the help", s.Name)
		}
		if seen[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		seen[s.Name] = true
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"listen", "model", "models", "flush_chunks"}
	for in, want := range map[string]string{
		"lisen": "listen", "modle": "model", "modelss": "models", "flushchunks": "flush_chunks", "zebra": "", "": "",
	} {
		if got := config.Nearest(in, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzFile holds the loader to two things: it never panics, and whatever it
// accepts comes out of Print unchanged.
func FuzzFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:0\nmodels: {a: [echo]}\n")
	f.Add("cors_origins: |\n  https://a.example\n")
	f.Add(access)
	f.Add("keys: []\nwebhook: {}\niam: {hosts: a}\n")
	f.Add("models:\n  ? [a]\n  : b\n")
	f.Add("log_level: !!str info\n--- \n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := config.Load(config.Sources{File: file(t, text)})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := l.Print(&out); err != nil {
			t.Fatalf("cannot print what was read: %v", err)
		}
		if strings.Contains(out.String(), "***") {
			return
		}
		again, err := config.Load(config.Sources{File: file(t, out.String())})
		if err != nil {
			t.Fatalf("cannot read what was printed: %v\n%s", err, out.String())
		}
		if diff := cmp.Diff(l.Config, again.Config, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("came back changed (-want +got):\n%s", diff)
		}
	})
}
