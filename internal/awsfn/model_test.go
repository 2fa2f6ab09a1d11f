package awsfn_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/modelserver"
)

func open(t *testing.T, model string, env ...string) *awsfn.Model {
	t.Helper()
	t.Setenv("MODEL", model)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	m, err := awsfn.OpenModel(&awsfn.Settings{}, 6)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const question = "What is a log, and why should anybody want one of them?"

func TestGroups(t *testing.T) {
	m := open(t, "echo?ttft=0s&tps=100&tokens=20", "GROUP_INTERVAL=1h")
	synctest.Test(t, func(t *testing.T) {
		var pieces []string
		err := m.Ask(t.Context(), question, func(_ context.Context, text string) error {
			if pieces = append(pieces, text); len(pieces) == 3 {
				time.Sleep(75 * time.Millisecond) // while that takes, others come
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var counts []int
		for _, p := range pieces {
			counts = append(counts, len(strings.Fields(p)))
		}
		// The first at once, six, six; seven have come meanwhile, and none is left.
		if len(pieces) != 4 || counts[0] != 1 || counts[1] != 6 || counts[2] != 6 {
			t.Errorf("words in each piece: %v", counts)
		}
		if text := strings.Join(pieces, ""); len(strings.Fields(text)) != 20 {
			t.Errorf("got %q", text)
		}
	})
}

func TestGroupsDoNotWaitLong(t *testing.T) {
	m := open(t, "echo?ttft=0s&tps=1&tokens=3", "GROUP_INTERVAL=150ms")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		err := m.Ask(t.Context(), question, func(context.Context, string) error {
			at = append(at, time.Since(begin))
			return nil
		})
		if err != nil || len(at) != 3 || at[0] != 0 || at[1] != 1150*time.Millisecond {
			t.Errorf("pieces came at %v, %v", at, err)
		}
	})
}

// What was said is said before the time is over, and so is the failure.
func TestTimeIsOver(t *testing.T) {
	m := open(t, "echo?ttft=0s&tps=10&tokens=1000")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begin, words := time.Now(), 0
		err := m.Ask(ctx, question, func(_ context.Context, text string) error {
			words += len(strings.Fields(text))
			return nil
		})
		if took := time.Since(begin); took != 25*time.Second || words < 245 {
			t.Errorf("%d words in %v", words, took)
		}
		if runnel.KindOf(err) != runnel.Unavailable || ctx.Err() != nil {
			t.Errorf("got %v, with the context %v", err, ctx.Err())
		}
	})
}

func TestUndelivered(t *testing.T) {
	m := open(t, "echo?ttft=0s&tps=10&tokens=1000")
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		err := m.Ask(t.Context(), question, func(context.Context, string) error { return lost })
		if _, ok := errors.AsType[*awsfn.DeliveryError](err); !ok || !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
	})
}

// A call that fails before its first fragment is repeated, and then not again.
func TestModelFails(t *testing.T) {
	server := modelserver.New(modelserver.Options{Tokens: 5})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	m := open(t, "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://"+ln.Addr().String())
	for _, tt := range []struct {
		fault    string
		tokens   int
		requests int64
		kind     runnel.Kind
		fails    bool
	}{
		{"status=429 fail-first=2", 5, 3, 0, false},
		{"status=503", 0, 4, runnel.Unavailable, true},
		{"status=400", 0, 1, runnel.Invalid, true},
		{"error-after=3", 3, 1, runnel.Unavailable, true},
	} {
		before := server.Stats().Requests
		question, got := "[[fault:"+tt.fault+"]]", ""
		err := m.Ask(t.Context(), question, func(_ context.Context, text string) error {
			got += text
			return nil
		})
		if want := modelserver.Text(question, tt.tokens); got != want || (err != nil) != tt.fails || tt.fails && runnel.KindOf(err) != tt.kind {
			t.Errorf("%s: got %q, %v", tt.fault, got, err)
		}
		if n := server.Stats().Requests - before; n != tt.requests {
			t.Errorf("%s: %d requests, want %d", tt.fault, n, tt.requests)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, env := range map[string][]string{
		"the variable MODEL is missing":         {"MODEL="},
		"must begin with bedrock/, or be echo":  {"MODEL=openai/gpt"},
		`GROUP_SIZE is "six"`:                   {"MODEL=echo", "GROUP_SIZE=six"},
		`GROUP_INTERVAL is "-1s"`:               {"MODEL=echo", "GROUP_INTERVAL=-1s"},
		"echo has no models to choose from, so": {"MODEL=echo/x"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range env {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			if _, err := awsfn.OpenModel(&awsfn.Settings{}, 6); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}
