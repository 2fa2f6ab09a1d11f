package cli

import (
	"fmt"

	"github.com/runnelhq/runnel/internal/auth"
)

type keyCommand struct {
	New newKeyCommand `cmd:"" help:"Make an API key for a gateway"`
}

type newKeyCommand struct {
	Name string `default:"api" placeholder:"NAME" help:"What the log calls the key's holder"`
}

// Help is shown below the command's summary.
func (*newKeyCommand) Help() string {
	return `The key goes to standard output, and is not shown again; what the configuration file needs of it, its hash, goes to standard error. ` +
		`A gateway that runs takes up the changed file at a SIGHUP.

Examples:

    runnel key new --name backend
    runnel key new 2>> runnel.yaml`
}

// Run makes a key.
func (c *newKeyCommand) Run(std IO) error {
	key, hash, err := auth.NewKey()
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	made := auth.Config{Keys: []auth.Key{{Name: c.Name, Hash: hash}}}
	if err := made.Validate(); err != nil {
		return usageError{fmt.Errorf("--name: %w", err)}
	}
	fmt.Fprintf(std.Err, `# Keep the key, which is not shown again. The configuration file needs:
keys:
  - {name: %q, hash: %q}
`, c.Name, hash)
	_, err = fmt.Fprintln(std.Out, key)
	return err
}
