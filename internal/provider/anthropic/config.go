package anthropic

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/prefill"
	"github.com/runnelhq/runnel/internal/provider/settings"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

const (
	defaultBaseURL   = "https://api.anthropic.com"
	defaultMaxTokens = 4096
	apiVersion       = "2023-06-01"
)

// Config says which model to ask, and where.
type Config struct {
	Model     string
	BaseURL   string // empty: Anthropic's own
	APIKey    string // may be empty if BaseURL is set
	AuthToken string // instead of APIKey: a bearer token
	MaxTokens int    // of prompts that set none; 0: 4096
	Prefill   bool   // the model goes on with an answer's beginning
}

// Open returns a provider for one model, configured by the environment and, on
// top of it, by settings.
func Open(model string, values url.Values) (runnel.Provider, error) {
	cfg := Config{Model: model, BaseURL: os.Getenv("ANTHROPIC_BASE_URL"), Prefill: prefill.Known("anthropic", model)}
	keyName := "ANTHROPIC_API_KEY"
	s := settings.Read("anthropic", values)
	s.String("base_url", &cfg.BaseURL)
	s.String("api_key_env", &keyName)
	s.Count("max_tokens", &cfg.MaxTokens)
	s.Bool("prefill", &cfg.Prefill)
	if err := s.Done(); err != nil {
		return nil, err
	}
	if cfg.APIKey = strings.TrimSpace(os.Getenv(keyName)); cfg.APIKey == "" {
		cfg.AuthToken = strings.TrimSpace(os.Getenv("ANTHROPIC_AUTH_TOKEN"))
	}
	if cfg.APIKey == "" && cfg.AuthToken == "" && cfg.BaseURL == "" {
		return nil, runnel.Errorf(runnel.Invalid, "anthropic needs a key: set %.40s, or base_url if the server wants none", keyName)
	}
	return New(cfg)
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
		return nil, runnel.Errorf(runnel.Invalid, "anthropic needs a model, as in anthropic/claude-sonnet-4-5")
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = defaultMaxTokens
	}
	header := http.Header{}
	header.Set("Anthropic-Version", apiVersion)
	secret := cfg.APIKey
	if cfg.APIKey != "" {
		header.Set("X-Api-Key", cfg.APIKey)
	} else if secret = cfg.AuthToken; secret != "" {
		header.Set("Authorization", "Bearer "+secret)
	}
	client, err := upstream.NewClient(upstream.Config{
		Provider: "anthropic", Model: cfg.Model, BaseURL: cfg.BaseURL, Header: header, Secret: secret,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, client: client}, nil
}

// Continues implements [runnel.Continuer]: the Messages API takes the last message,
// if it is the assistant's, for the beginning of the answer.
func (a *Provider) Continues() bool { return a.cfg.Prefill }

// Generate implements [runnel.Provider].
func (a *Provider) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		body, err := encode(&a.cfg, &p)
		if err != nil {
			yield(runnel.Delta{}, err)
			return
		}
		a.client.Generate(ctx, "v1/messages", body, upstream.EventStream(), newDecoder(p.Generation), yield)
	}
}
