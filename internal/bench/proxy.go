package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// Proxy is the plain reverse proxy that a gateway is compared with: it passes
// on what it reads, at once, and keeps nothing. It serves until ctx is done,
// and breaks off what runs then.
func Proxy(ctx context.Context, ln net.Listener, target *url.URL) error {
	silent := log.New(io.Discard, "", 0) // net/http remarks on clients that leave, which these do
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 10_000, DisableCompression: true},
		ErrorLog:      silent,
	}
	server := &http.Server{Handler: readBodyFirst(proxy), ReadHeaderTimeout: 30 * time.Second, ErrorLog: silent}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(ln); ctx.Err() == nil {
		return fmt.Errorf("bench: proxy: %w", err)
	}
	return nil
}

// readBodyFirst takes a request's body out of net/http's hands. The server
// closes it when an answer begins, and if the transport has not yet seen its
// end by then, as with a model that answers at once, it breaks the answer off.
func readBodyFirst(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "cannot read the request", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
