package cli

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

const defaultServer = "http://127.0.0.1:8080"

// gateway is how the commands that talk to one find it.
type gateway struct {
	Server string `default:"http://127.0.0.1:8080" env:"RUNNEL_SERVER" placeholder:"URL" help:"The gateway's address"`
	APIKey string `name:"api-key" env:"RUNNEL_API_KEY" placeholder:"KEY" help:"API key or token, if the gateway asks for one; in the variable, other users of this machine do not see it"`
}

// connect returns a client that tells s when the gateway goes away and returns.
func (g *gateway) connect(s *status) (*client.Client, error) {
	lost := false
	c, err := client.New(g.Server, client.WithAPIKey(g.APIKey), client.WithNotify(func(err error, _ time.Duration) {
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

// explain words an error of the client, and what to do about it.
func (g *gateway) explain(err error) error {
	if err == nil || errors.Is(err, errInterrupted) {
		return err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return fmt.Errorf("no gateway answers at %s: %w\nStart one with \"runnel serve\", or say with --server where it is", g.Server, e.Err)
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
