//go:build linux

package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// checkPause is how often a balancer looks which nodes are ready.
const checkPause = 200 * time.Millisecond

// A Balancer sends requests to nodes that are ready, as a load balancer in front
// of them does, and leaves what has been established alone. It is the transport
// of an HTTP client whose URLs may name any host.
type Balancer struct {
	nodes []*url.URL
	ready []atomic.Bool
	http.Transport
}

// NewBalancer returns a balancer that checks the nodes until ctx is done.
func NewBalancer(ctx context.Context, nodes ...string) (*Balancer, error) {
	b := &Balancer{ready: make([]atomic.Bool, len(nodes))}
	b.MaxIdleConnsPerHost = 64
	for i, node := range nodes {
		u, err := url.Parse(node)
		if err != nil {
			return nil, err
		}
		b.nodes = append(b.nodes, u)
		b.ready[i].Store(true)
		go func() {
			for ctx.Err() == nil {
				b.ready[i].Store(Ready(ctx, node) == nil)
				select {
				case <-time.After(checkPause):
				case <-ctx.Done():
				}
			}
		}()
	}
	return b, nil
}

// RoundTrip implements [http.RoundTripper].
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, i := range rand.Perm(len(b.nodes)) {
		if !b.ready[i].Load() {
			continue
		}
		r2 := r.Clone(r.Context())
		r2.URL.Host = b.nodes[i].Host
		return b.Transport.RoundTrip(r2)
	}
	return nil, errors.New("no node is ready")
}
