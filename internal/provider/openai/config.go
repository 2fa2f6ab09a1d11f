package openai

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/provider/settings"
	"github.com/runnelhq/runnel/internal/provider/upstream"
)

const defaultBaseURL = "https://api.openai.com/v1"

// The names that the limit on the answer's length goes by.
const (
	maxTokens           = "max_tokens"
	maxCompletionTokens = "max_completion_tokens"
)

// Config says which model to ask, and where.
type Config struct {
	Model        string
	BaseURL      string // empty: OpenAI's own
	APIKey       string // may be empty if BaseURL is set
	Organization string
	Project      string

	// MaxTokensField is max_tokens or max_completion_tokens; empty is the one
	// that fits BaseURL.
	MaxTokensField string
	// NoUsage leaves stream_options out.
	NoUsage bool
	// Prefill is how the server is told to go on with the beginning of an
	// answer; empty if it cannot.
	Prefill string
}

// How servers go on with the last message: without being told, if that message
// says that it is a prefix (DeepSeek), or if the request does (vLLM, SGLang).
const (
	prefillAlways  = "true"
	prefillPrefix  = "prefix"
	prefillRequest = "continue_final_message"
)

// Open returns a provider for one model, configured by the environment and, on
// top of it, by settings.
func Open(model string, values url.Values) (runnel.Provider, error) {
	cfg := Config{
		Model:        model,
		BaseURL:      os.Getenv("OPENAI_BASE_URL"),
		Organization: os.Getenv("OPENAI_ORG_ID"),
		Project:      os.Getenv("OPENAI_PROJECT_ID"),
	}
	keyName, usage := "OPENAI_API_KEY", true
	s := settings.Read("openai", values)
	s.String("base_url", &cfg.BaseURL)
	s.String("api_key_env", &keyName)
	s.Bool("usage", &usage)
	s.Func("max_tokens_field", maxTokens+" or "+maxCompletionTokens, func(v string) bool {
		cfg.MaxTokensField = v
		return v == maxTokens || v == maxCompletionTokens
	})
	s.Func("prefill", "true, false, prefix or continue_final_message", func(v string) bool {
		cfg.Prefill = v
		if v == "false" {
			cfg.Prefill = ""
		}
		return v == "false" || v == prefillAlways || v == prefillPrefix || v == prefillRequest
	})
	if err := s.Done(); err != nil {
		return nil, err
	}
	cfg.NoUsage = !usage
	if cfg.APIKey = strings.TrimSpace(os.Getenv(keyName)); cfg.APIKey == "" && cfg.BaseURL == "" {
		return nil, runnel.Errorf(runnel.Invalid, "openai needs a key: set %.40s, or base_url if the server wants none", keyName)
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
		return nil, runnel.Errorf(runnel.Invalid, "openai needs a model, as in openai/gpt-5-mini")
	}
	if cfg.MaxTokensField == "" {
		cfg.MaxTokensField = maxTokens
		if cfg.BaseURL == "" || strings.HasPrefix(cfg.BaseURL, "https://api.openai.com/") {
			cfg.MaxTokensField = maxCompletionTokens
		}
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	header := http.Header{}
	set := func(name, prefix, value string) {
		if value != "" {
			header.Set(name, prefix+value)
		}
	}
	set("Authorization", "Bearer ", cfg.APIKey)
	set("OpenAI-Organization", "", cfg.Organization)
	set("OpenAI-Project", "", cfg.Project)
	client, err := upstream.NewClient(upstream.Config{
		Provider: "openai", Model: cfg.Model, BaseURL: cfg.BaseURL, Header: header, Secret: cfg.APIKey,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, client: client}, nil
}

// Continues implements [runnel.Continuer].
func (o *Provider) Continues() bool { return o.cfg.Prefill != "" }

// Generate implements [runnel.Provider].
func (o *Provider) Generate(ctx context.Context, p runnel.Prompt) iter.Seq2[runnel.Delta, error] {
	return func(yield func(runnel.Delta, error) bool) {
		body, err := encode(&o.cfg, &p)
		if err != nil {
			yield(runnel.Delta{}, err)
			return
		}
		o.client.Generate(ctx, "chat/completions", body, upstream.EventStream(), newDecoder(p.Generation), yield)
	}
}
