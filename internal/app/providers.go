package app

import (
	handlers "github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/provider/anthropic"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/provider/function"
	"github.com/runnelhq/runnel/internal/provider/ollama"
	"github.com/runnelhq/runnel/internal/provider/openai"
	"github.com/runnelhq/runnel/internal/route"
)

// providers are the model vendors, by the name that begins a spec.
func providers(functions *handlers.Set) map[string]route.Open {
	return map[string]route.Open{
		"anthropic": anthropic.Open,
		"bedrock":   bedrock.Open,
		"echo":      echo.Open,
		"function":  function.Opener(functions),
		"ollama":    ollama.Open,
		"openai":    openai.Open,
	}
}
