package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxReport bounds what is read of an answer of /readyz.
const maxReport = 64 << 10

type healthCommand struct {
	gateway `embed:""`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long the answer may take"`
}

// Help is shown below the command's summary.
func (*healthCommand) Help() string {
	return `It asks /readyz and exits with 1 if the gateway cannot be reached or takes no new prompts, as health checks of containers want it.`
}

// Run asks a gateway whether it is ready.
func (c *healthCommand) Run(std IO) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	transport, err := c.http()
	if err != nil {
		return usageError{fmt.Errorf("--ca-file: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.Server, "/")+"/readyz", nil)
	if err != nil {
		return usageError{fmt.Errorf("--server: %w", err)}
	}
	resp, err := transport.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not answer within %v", c.Server, c.Timeout)
		}
		return c.explain(err)
	}
	defer resp.Body.Close()
	return c.report(std, resp)
}

// report says what the gateway answered.
func (c *healthCommand) report(std IO, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReport))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Server, err)
	}
	var state struct {
		Draining   bool   `json:"draining"`
		Engine     string `json:"engine"`
		Durability string `json:"durability"`
	}
	if err := json.Unmarshal(body, &state); err != nil || state.Engine == "" {
		return fmt.Errorf("%s is no gateway: /readyz answers %s", c.Server, resp.Status)
	}
	switch {
	case state.Draining:
		return errors.New("not ready: the gateway drains")
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("not ready: %s", state.Engine)
	}
	_, err = fmt.Fprintf(std.Out, "ready: %s\n", state.Durability)
	return err
}
