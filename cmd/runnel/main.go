// Command runnel streams language models' answers to the people waiting for
// them. Run it without arguments to see what it can do.
package main

import (
	"os"

	"github.com/runnelhq/runnel/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}))
}
