package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/runnelhq/runnel/internal/app"
	"github.com/runnelhq/runnel/internal/config"
)

type serveCommand struct {
	ConfigFile string   `name:"config" env:"RUNNEL_CONFIG" placeholder:"FILE" help:"Read settings from this YAML file"`
	settings   settings `kong:"-"`
}

// Help is shown below the command's summary.
func (*serveCommand) Help() string {
	return `Every setting can be given as a flag, as an environment variable or, in the file, under its name with underscores; ` +
		`flags beat variables, which beat the file. "runnel config" shows what holds.

Examples:

    runnel serve
    runnel serve --model openai/gpt-5-mini,ollama/llama3.2
    runnel serve --model 'echo?ttft=500ms&tps=20' --listen 127.0.0.1:0
    runnel serve --config runnel.yaml

At a SIGHUP the file and the certificate are read again, and credentials that the file names no longer are withdrawn at once. The other settings need a restart.`
}

// Run runs a node until a signal comes. The first one lets running generations
// finish, a second one does not.
func (c *serveCommand) Run(std IO, model *kong.Application) error {
	load := func() (*config.Config, error) {
		loaded, err := c.settings.load(c.ConfigFile, std.Environ, variables(model))
		if err != nil {
			return nil, err
		}
		return &loaded.Config, nil
	}
	cfg, err := load()
	if err != nil {
		return err
	}
	node, err := app.New(*cfg, std.Err)
	if err != nil {
		return usageError{err}
	}
	// From here on signals are ours: one that comes during the start must not
	// leave the log half open.
	signals := make(chan os.Signal, 2) // the first, and the impatient second
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1) // one more that comes meanwhile means the same
	if c.ConfigFile != "" || cfg.TLSCert != "" {
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
	}
	if err := node.Start(context.Background()); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s is in use, perhaps by another gateway; choose another address with --listen", cfg.Listen)
		}
		return err
	}
	greet(std.Err, node, cfg)
	for running := true; running; {
		select {
		case <-hangups:
			node.Reload(load)
			continue
		case s := <-signals:
			fmt.Fprintf(std.Err, "runnel: %v: waiting up to %v for running generations; again to end at once\n", s, cfg.DrainTimeout)
		case <-node.Done():
		}
		running = false
	}
	return stop(node, signals)
}

// stop ends the node; a signal ends the wait for it.
func stop(node *app.App, signals <-chan os.Signal) error {
	stopped := make(chan error, 1) // so that the sender can end if nobody waits
	go func() { stopped <- node.Stop() }()
	select {
	case err := <-stopped:
		return err
	case <-signals:
		// The log is made for this; whoever takes over goes on from there.
		return fmt.Errorf("ended at once, without waiting for running generations")
	}
}

// greet says what runs where, and what to try.
func greet(w io.Writer, node *app.App, cfg *config.Config) {
	storage := cfg.DataDir
	if dir, err := filepath.Abs(cfg.DataDir); err == nil {
		storage = dir
	}
	if len(cfg.NATSURL) > 0 {
		storage = fmt.Sprintf("%d NATS server(s)", len(cfg.NATSURL))
	}
	url, credentials := "http://"+reachable(node.Addr()), ""
	if cfg.Authenticates() {
		credentials = ` -H "Authorization: Bearer $RUNNEL_API_KEY"`
	}
	encrypted := "off; --dev-tls makes a certificate for development"
	if cfg.TLS() {
		encrypted = "on, on the same port"
	}
	try := fmt.Sprintf(`Try it:
  curl -N %s/v1/sessions/demo/prompts%s -H 'Accept: text/event-stream' --json '{"prompt":"Hello"}'
  runnel chat%s

%s`, url, credentials, serverFlag(url), trust(node.Authority(), node.Addr()))
	if cfg.Role == config.Worker {
		try = "It runs what gateways accept. Served here are /healthz, /readyz and /metrics.\n\n"
	}
	fmt.Fprintf(w, `Runnel %s is ready at %s
  role        %s
  models      %s
  data        %s
  durability  %s
  tls         %s

%s`, version(), url, cfg.Role, strings.Join(node.Models(), ", "), storage, node.Durability(), encrypted, try)
}

// trust says how to trust the authority in a file, if there is one.
func trust(file string, addr net.Addr) string {
	if file == "" {
		return ""
	}
	_, port, _ := net.SplitHostPort(addr.String())
	return fmt.Sprintf(`Its certificate for development is trusted with one of
  curl --cacert %[2]s %[1]s/readyz
  runnel chat --server %[1]s --ca-file %[2]s
  export NODE_EXTRA_CA_CERTS=%[2]s    # Node.js
  export AWS_CA_BUNDLE=%[2]s    # boto3, AWS CLI
  export SSL_CERT_FILE=%[2]s    # Go, OpenSSL, Python

`, "https://localhost:"+port, shellQuote(file))
}

// shellQuote returns text as one word of a shell.
func shellQuote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%", r)
	}
	if strings.TrimFunc(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// reachable returns an address to connect to; one that listens everywhere is
// reached on this machine.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// serverFlag returns what chat must be told, if anything.
func serverFlag(url string) string {
	if url == defaultServer {
		return ""
	}
	return " --server " + url
}
