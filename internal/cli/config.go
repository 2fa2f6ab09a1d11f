package cli

import (
	"github.com/alecthomas/kong"

	"github.com/runnelhq/runnel/internal/config"
)

type configCommand struct {
	Schema     bool     `help:"Print the JSON Schema of the configuration file instead, for editors"`
	ConfigFile string   `name:"config" env:"RUNNEL_CONFIG" placeholder:"FILE" help:"Read settings from this YAML file"`
	settings   settings `kong:"-"`
}

// Help is shown below the command's summary.
func (*configCommand) Help() string {
	return `Prints, as a configuration file, what "runnel serve" would use if it were started here with the same flags, ` +
		`and where each value comes from. Secrets are masked.

Examples:

    runnel config
    runnel config > runnel.yaml
    runnel config --schema > runnel.schema.json`
}

// Run prints the configuration or its schema.
func (c *configCommand) Run(std IO, model *kong.Application) error {
	if c.Schema {
		return config.WriteSchema(std.Out)
	}
	cfg, err := c.settings.load(c.ConfigFile, std.Environ, variables(model))
	if err != nil {
		return err
	}
	return cfg.Print(std.Out)
}
