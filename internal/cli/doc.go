// Package cli is the command line: it reads arguments, runs a command, and
// returns the exit code.
//
//   - cli.go: the commands, errors and exit codes
//   - settings.go: a flag for every setting of the configuration
//   - help.go: how --help looks
//   - serve.go, config.go, key.go, bench.go, version.go, completion.go: one command each
//   - chat.go, repl.go, tail.go, health.go: the commands that talk to a gateway;
//     client.go has what they share, printer.go and status.go what they show
//
// Answers and data go to standard output; everything said about them goes to
// standard error, so that output can be piped on.
package cli
