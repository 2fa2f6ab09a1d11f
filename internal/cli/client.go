package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

const defaultServer = "http://127.0.0.1:8080"

// gateway is how the commands that talk to one find it.
type gateway struct {
	Server string `default:"http://127.0.0.1:8080" env:"RUNNEL_SERVER" placeholder:"URL" help:"The gateway's address"`
	APIKey string `name:"api-key" env:"RUNNEL_API_KEY" placeholder:"KEY" help:"API key or token, if the gateway asks for one; in the variable, other users of this machine do not see it"`
	CAFile string `name:"ca-file" env:"RUNNEL_CA_FILE" placeholder:"FILE" help:"Trust the certificates in this file, and no others, when the gateway speaks TLS"`
}

// connect returns a client that tells s when the gateway goes away and returns.
func (g *gateway) connect(s *status) (*client.Client, error) {
	lost := false
	transport, err := g.http()
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca-file: %w", err)}
	}
	c, err := client.New(g.Server, client.WithAPIKey(g.APIKey), client.WithHTTPClient(transport), client.WithNotify(func(err error, _ time.Duration) {
		switch {
		case err == nil:
			lost = false
			s.say("connected again")
		case !lost:
			lost = true
			s.say("no connection to the gateway, waiting…")
		}
	}))
	if err != nil {
		return nil, usageError{errors.New("--server: " + publicError(err))}
	}
	return c, nil
}

// http returns a client that trusts what the user does.
func (g *gateway) http() (*http.Client, error) {
	if g.CAFile == "" {
		return http.DefaultClient, nil
	}
	data, err := os.ReadFile(g.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", g.CAFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

// explain words an error of the client, and what to do about it.
func (g *gateway) explain(err error) error {
	if err == nil || errors.Is(err, errInterrupted) {
		return err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return fmt.Errorf("no gateway answers at %s: %w\nStart one with \"runnel serve\", or say with --server where it is", g.Server, e.Err)
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %s is not trusted: %w\nSay with --ca-file which one to trust", g.Server, e.Err)
	}
	if e, ok := errors.AsType[*runnel.Error](err); ok {
		if e.Kind == runnel.Unauthenticated {
			return errors.New(publicError(err) + "; give the gateway's key with --api-key or $RUNNEL_API_KEY")
		}
		return errors.New(publicError(err))
	}
	return err
}

// publicError words a failure of the gateway for the user.
func publicError(err error) string {
	if e, ok := errors.AsType[*runnel.Error](err); ok && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}
