package bench

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// What the handler streams: lines with the time at which they were written.
const (
	handlerPieces = 10
	handlerPace   = 10 * time.Millisecond
)

// ServeHandler answers each request as the handler of a function does, without
// anything in between. It serves until ctx is done.
func ServeHandler(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = stamps(r.Context(), w, http.NewResponseController(w).Flush)
		}),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(ln); ctx.Err() == nil {
		return fmt.Errorf("bench: handler: %w", err)
	}
	return nil
}

// stamps writes the lines of an answer.
func stamps(ctx context.Context, w io.Writer, flush func() error) error {
	pace := time.NewTicker(handlerPace)
	defer pace.Stop()
	for range handlerPieces {
		if _, err := fmt.Fprintln(w, time.Now().UnixNano()); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// RunHandler is a function's process: it takes events of the Runtime API at the
// address until that is gone.
func RunHandler(ctx context.Context, address string) error {
	base := "http://" + address + "/2018-06-01/runtime/invocation/"
	for ctx.Err() == nil {
		id, err := nextEvent(ctx, base)
		if err == nil {
			err = answerEvent(ctx, base+id+"/response")
		}
		if err != nil {
			return fmt.Errorf("bench: handler: %w", err)
		}
	}
	return nil
}

func nextEvent(ctx context.Context, base string) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"next", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), err
}

func answerEvent(ctx context.Context, url string) error {
	body, w := io.Pipe() // whose writes are passed on one by one
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	req.Header.Set("Content-Type", "text/plain")
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = w.CloseWithError(stamps(ctx, w, func() error { return nil }))
	}()
	resp, err := http.DefaultClient.Do(req)
	_ = body.Close() // so that the writer ends, too
	<-written
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
