package cert

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pollInterval is how often the files are looked at: tools that renew
	// certificates often cannot send a signal.
	pollInterval = 10 * time.Second
	// maxFile bounds what is read of a file; a chain has some kilobytes.
	maxFile = 1 << 20
)

// A Store has one certificate with its key. Its methods may be called
// concurrently.
type Store struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]

	mu   sync.Mutex
	seen [sha256.Size]byte // of the files that were looked at last, good or bad
}

// Open reads a certificate, with the chain that leads to its authority, and its
// key, both in PEM. The error names the file.
func Open(certFile, keyFile string, now func() time.Time, logger *slog.Logger) (*Store, error) {
	s := &Store{certFile: certFile, keyFile: keyFile, now: now, log: logger.With("component", "cert")}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config returns the settings of a port that shows the certificate, whichever
// it is when a client comes. HTTP/1.1 is offered beside HTTP/2 for WebSockets.
func (s *Store) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current.Load(), nil },
	}
}

// Run takes up the files' contents whenever they have changed, until ctx is
// done. What cannot be used is logged, once.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.reload(false); err != nil {
				s.log.ErrorContext(ctx, "the new certificate is refused, the present one stays", "err", err)
			}
		}
	}
}

// Reload reads the files. After an error the present certificate stays.
func (s *Store) Reload() error { return s.reload(true) }

// reload does nothing if the files are those of the last time, unless always.
func (s *Store) reload(always bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	chain, err := readFile(s.certFile)
	key, kerr := readFile(s.keyFile)
	digest := sha256.New()
	for _, part := range [][]byte{chain, {0}, key} { // no PEM file has a NUL
		digest.Write(part)
	}
	sum := [sha256.Size]byte(digest.Sum(nil))
	if !always && sum == s.seen {
		return nil
	}
	s.seen = sum
	if err := errors.Join(err, kerr); err != nil {
		return fmt.Errorf("cert: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("cert: %s with %s: %w", s.certFile, s.keyFile, err)
	}
	// One that no client accepts must not replace one that they do.
	switch now := s.now(); {
	case now.After(pair.Leaf.NotAfter):
		return fmt.Errorf("cert: %s: it expired at %s", s.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(pair.Leaf.NotBefore):
		return fmt.Errorf("cert: %s: it is not valid before %s", s.certFile, pair.Leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	s.current.Store(&pair)
	s.log.Info("certificate loaded", "names", pair.Leaf.DNSNames, "not_after", pair.Leaf.NotAfter.UTC())
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return data, err
}
