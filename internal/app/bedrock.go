package app

import (
	"fmt"

	"github.com/runnelhq/runnel/internal/sse"
	"github.com/runnelhq/runnel/internal/transport/bedrock"
)

// newBedrock returns the door of the Bedrock runtime.
func (a *App) newBedrock(stream sse.Config) *bedrock.Handler {
	c := &a.cfg
	mapped := make(map[string]string, len(c.BedrockModels))
	for _, m := range c.BedrockModels {
		mapped[m.ID] = m.Model
	}
	return bedrock.New(a.sessions, bedrock.Config{
		Authenticate: a.access.forAction, Models: a.table.Names, Mapped: mapped,
		MaxPrompt: int(c.MaxPrompt), BodyTimeout: c.BodyTimeout, Disconnect: c.BedrockDisconnect,
		Stream: stream, Logger: a.log,
	})
}

// checkBedrock makes sure that what stands for a model id can be asked for.
func (a *App) checkBedrock() error {
	for i, m := range a.cfg.BedrockModels {
		if _, err := a.table.Lookup(m.Model); err != nil {
			return fmt.Errorf("bedrock_models[%d].model: %w", i, err)
		}
	}
	return nil
}
