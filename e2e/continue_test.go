package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/modelserver"
)

// TestGoesOn kills the gateway once in the middle of an answer, or has it hand
// the answer over, with models that go on, that do not, and that refuse to.
func TestGoesOn(t *testing.T) {
	// The AWS SDK takes these from the environment alone.
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	kill := func(t *testing.T, g *gateway) { g.kill() }
	drain := func(t *testing.T, g *gateway) {
		if err := g.terminate(); err != nil {
			t.Errorf("exit: %v", err)
		}
	}
	for name, tc := range map[string]struct {
		model string // with the model server's address for ADDR
		die   func(*testing.T, *gateway)
		how   string
	}{
		"anthropic":         {"anthropic/claude-sonnet-4-5?base_url=http://ADDR", kill, "goes on"},
		"anthropic, drain":  {"anthropic/claude-sonnet-4-5?base_url=http://ADDR", drain, "goes on"},
		"anthropic, newer":  {"anthropic/claude-opus-4-6?base_url=http://ADDR", kill, "begins anew"},
		"anthropic, wrong":  {"anthropic/claude-opus-4-6?base_url=http://ADDR&prefill=true", kill, "refuses"},
		"openai":            {"openai/gpt-5-mini?base_url=http://ADDR/v1", kill, "begins anew"},
		"openai, drain":     {"openai/gpt-5-mini?base_url=http://ADDR/v1", drain, "begins anew"},
		"vllm":              {"openai/llama?base_url=http://ADDR/v1&prefill=continue_final_message", kill, "goes on"},
		"deepseek":          {"openai/deepseek-chat?base_url=http://ADDR/v1&prefill=prefix", kill, "goes on"},
		"ollama":            {"ollama/llama3.2?base_url=http://ADDR", kill, "goes on"},
		"converse, claude":  {"bedrock/anthropic.claude-3-haiku-20240307-v1:0?endpoint=http://ADDR", kill, "goes on"},
		"converse, nova":    {"bedrock/amazon.nova-lite-v1:0?endpoint=http://ADDR", kill, "goes on"},
		"converse, llama":   {"bedrock/meta.llama3-8b-instruct-v1:0?endpoint=http://ADDR", kill, "begins anew"},
		"converse, mistake": {"bedrock/meta.llama3-8b-instruct-v1:0?prefill=true&endpoint=http://ADDR", kill, "refuses"},
		"invoke, claude":    {"bedrock/anthropic.claude-3-haiku-20240307-v1:0?api=invoke&endpoint=http://ADDR", kill, "goes on"},
		"invoke, llama":     {"bedrock/meta.llama3-8b-instruct-v1:0?api=invoke&endpoint=http://ADDR", kill, "goes on"},
		"invoke, mistral":   {"bedrock/mistral.mistral-7b-instruct-v0:2?api=invoke&endpoint=http://ADDR", kill, "goes on"},
		"invoke, titan":     {"bedrock/amazon.titan-text-lite-v1?api=invoke&endpoint=http://ADDR", kill, "goes on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const tokens = 120
			server, spec := startModel(t, "tokens=120 tps=60 ttft=20ms")
			addr, _, _ := strings.Cut(strings.TrimPrefix(spec, "openai/test?base_url=http://"), "/")
			g := newGateway(t, "--model", strings.Replace(tc.model, "ADDR", addr, 1), "--drain-timeout", "100ms")
			base := g.url("")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			v := newViewer(base, "s")
			gen, err := submit(ctx, base, "s", "Why?", "key")
			if err != nil {
				t.Fatal(err)
			}
			said := func() string {
				if text := v.texts[gen]; text != nil {
					return text.String()
				}
				return ""
			}
			if err := v.follow(ctx, func() bool { return strings.Count(said(), " ") >= 20 }); err != nil {
				t.Fatal(err)
			}
			tc.die(t, g)
			for server.Stats().OpenStreams > 0 && ctx.Err() == nil {
				retryPause() // the model has yet to see it
			}
			before := server.Stats()
			g.start()
			ended := func() bool { return len(v.ends[gen]) > 0 }
			if err := v.follow(ctx, ended); err != nil {
				t.Fatalf("%v; so far %q", err, said())
			}

			want := modelserver.Text("Why?", tokens)
			late := newViewer(base, "s")
			if err := late.follow(ctx, func() bool { return len(late.ends[gen]) > 0 }); err != nil {
				t.Fatal(err)
			}
			turn, err := attempted(base, "s")
			if err != nil || len(turn.Attempts) != 2 {
				t.Fatalf("the turn: %+v, %v", turn, err)
			}
			if said() != want || late.texts[gen].String() != want || turn.Text != want {
				t.Errorf("a viewer has %q\na late one %q\nthe turn %q\nwant %q", said(), late.texts[gen], turn.Text, want)
			}
			if len(late.reset) == 0 {
				t.Fatal("the log has no reset")
			}
			// What was stored was given to the model, and not said again.
			prefix, given := late.reset[0], 0
			for given < tokens && modelserver.Text("Why?", given) != prefix {
				given++
			}
			stats := server.Stats()
			again, continued, refused := stats.Tokens-before.Tokens, stats.Continued-before.Continued, stats.Refused-before.Refused
			switch tc.how {
			case "goes on":
				if len(late.reset) != 1 || given < 10 || given == tokens || again != int64(tokens-given) || continued != 1 || refused != 0 || !turn.Attempts[1].Continued {
					t.Errorf("resets %q with %d tokens; then the model said %d, continued %d, refused %d; %+v", late.reset, given, again, continued, refused, turn)
				}
			case "refuses":
				if len(late.reset) != 2 || given < 10 || late.reset[1] != "" || again != tokens || continued != 0 || refused != 1 || turn.Attempts[1].Continued {
					t.Errorf("resets %q with %d tokens; then the model said %d, continued %d, refused %d; %+v", late.reset, given, again, continued, refused, turn)
				}
			case "begins anew":
				if len(late.reset) != 1 || prefix != "" || again != tokens || continued != 0 || refused != 0 || turn.Attempts[1].Continued {
					t.Errorf("resets %q; then the model said %d, continued %d, refused %d; %+v", late.reset, again, continued, refused, turn)
				}
			}
			u := turn.Attempts[1].Usage
			if u == nil || int64(u.Output) != again {
				t.Fatalf("usage of the second attempt: %+v, want %d tokens of output", u, again)
			}
			total := *u
			if first := turn.Attempts[0].Usage; name == "anthropic, drain" { // which says at the start what it has read
				if first == nil || first.Input != 1 {
					t.Fatalf("usage of the attempt that was handed over: %+v", first)
				}
				total.Input += first.Input
				total.Output += first.Output
			}
			if *turn.Usage != total {
				t.Errorf("usage %+v, want %+v", turn.Usage, total)
			}
		})
	}
}

// A usage is as much of it as matters here.
type usage struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
}

// An attemptedTurn is what a turn says of its attempts.
type attemptedTurn struct {
	Text     string
	Usage    *usage
	Attempts []struct {
		Continued bool
		Usage     *usage
	}
}

// attempted returns the only turn of a session.
func attempted(base, session string) (turn attemptedTurn, err error) {
	resp, err := http.Get(base + "/v1/sessions/" + session)
	if err != nil {
		return turn, err
	}
	defer resp.Body.Close()
	var t struct{ Turns []attemptedTurn }
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil || len(t.Turns) != 1 {
		return turn, err
	}
	return t.Turns[0], nil
}
