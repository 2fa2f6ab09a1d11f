package ollama

import (
	"cmp"
	"context"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/prefill"
	"github.com/runnelhq/runnel/internal/provider/settings"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

const defaultPort = "11434"

// Config says which model to ask, and where.
type Config struct {
	Model   string
	BaseURL string // empty: Ollama on this machine
	APIKey  string // empty: none

	ContextLength int           // 0: Ollama's default
	KeepAlive     time.Duration // 0: Ollama's default
	Think         *bool         // nil: the model's default
	Prefill       bool          // the model goes on with an answer's beginning
}

// Open returns a provider for one model, configured by the environment and, on
// top of it, by settings.
func Open(model string, values url.Values) (runnel.Provider, error) {
	cfg := Config{Model: model, BaseURL: hostURL(os.Getenv("OLLAMA_HOST")), Prefill: prefill.Known("ollama", model)}
	keyName := "OLLAMA_API_KEY"
	var think bool
	s := settings.Read("ollama", values)
	s.String("base_url", &cfg.BaseURL)
	s.String("api_key_env", &keyName)
	s.Count("num_ctx", &cfg.ContextLength)
	s.Duration("keep_alive", &cfg.KeepAlive)
	s.Bool("think", &think)
	s.Bool("prefill", &cfg.Prefill)
	if err := s.Done(); err != nil {
		return nil, err
	}
	if values.Has("think") {
		cfg.Think = &think
	}
	cfg.APIKey = strings.TrimSpace(os.Getenv(keyName))
	return New(cfg)
}

// hostURL turns OLLAMA_HOST into a base URL the way Ollama does: a scheme brings
// its port along, and without one it is plain HTTP on Ollama's port.
func hostURL(host string) string {
	host = strings.Trim(strings.TrimSpace(host), `"'`)
	scheme, rest, found := strings.Cut(host, "://")
	port := defaultPort
	switch {
	case !found:
		scheme, rest = "http", host
	case scheme == "http":
		port = "80"
	case scheme == "https":
		port = "443"
	}
	rest, path, _ := strings.Cut(rest, "/")
	name, given, err := net.SplitHostPort(rest)
	if err != nil {
		name, given = strings.Trim(rest, "[]"), ""
	}
	u := url.URL{Scheme: scheme, Path: "/" + path}
	u.Host = net.JoinHostPort(cmp.Or(name, "127.0.0.1"), cmp.Or(given, port))
	return u.String()
}

// A Provider asks one model.
type Provider struct {
	cfg    Config
	client *upstream.Client
}

var _ runnel.Continuer = (*Provider)(nil)

// New returns a provider for one model.
func New(cfg Config) (*Provider, error) {
	if cfg.Model == "" {
		return nil, runnel.Errorf(runnel.Invalid, "ollama needs a model, as in ollama/llama3.2")
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = hostURL("")
	}
	header := http.Header{}
	if cfg.APIKey != "" {
		header.Set("Authorization", "Bearer "+cfg.APIKey)
	}
	client, err := upstream.NewClient(upstream.Config{
		Provider: "ollama", Model: cfg.Model, BaseURL: cfg.BaseURL, Header: header, Secret: cfg.APIKey,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, client: client}, nil
}

// Continues implements [runnel.Continuer]: the templates leave the last message
// open, if it is the assistant's.
func (o *Provider) Continues() bool { return o.cfg.Prefill }

// Generate implements [runnel.Provider].
func (o *Provider) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		body, err := encode(&o.cfg, &p)
		if err != nil {
			yield(runnel.Delta{}, err)
			return
		}
		o.client.Generate(ctx, "api/chat", body, upstream.Lines(), newDecoder(p.Generation), yield)
	}
}
