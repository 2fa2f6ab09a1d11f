package upstream

import (
	"context"
	"net"
	"net/http"
)

// RetryAfter is tested by itself, as it depends on the time.
var RetryAfter = retryAfter

// DialWith replaces how the client connects.
func (c *Client) DialWith(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	c.transport().DialContext = dial
}

// Trust has the client trust the certificates that t does.
func (c *Client) Trust(t *http.Transport) { c.transport().TLSClientConfig = t.TLSClientConfig.Clone() }

func (c *Client) transport() *http.Transport { return c.http.Transport.(*http.Transport) }

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() { c.transport().CloseIdleConnections() }
