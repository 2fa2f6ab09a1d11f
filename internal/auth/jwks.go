package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysFresh    = time.Hour        // after it a set is fetched again
	keysStale    = 24 * time.Hour   // until then an issuer may be out of reach: its tokens live no longer
	keyCooldown  = 10 * time.Second // between two fetches, whatever tokens ask for
	maxCooldown  = time.Minute      // which failures double
	fetchTimeout = 5 * time.Second  // for discovery and the set together
)

var (
	errUnknownKey = errors.New("the issuer has no such key")
	errNoKeys     = errors.New("the issuer's keys cannot be had")
)

// A keySet holds an issuer's keys, fetched when a token needs them. There is
// one fetch at a time, on the goroutine of whoever found it necessary; the
// others wait for it only if they cannot do without.
type keySet struct {
	issuer string
	url    string // empty: discovered
	client *http.Client
	log    *slog.Logger

	mu       sync.Mutex
	keys     keys
	fetched  time.Time     // when keys arrived
	next     time.Time     // no fetch before it
	failures int           // in a row
	flight   chan struct{} // closed at the end of the fetch that is under way; nil if there is none

	found string // by discovery; owned by the fetch
}

// find returns the key with the given id.
func (s *keySet) find(ctx context.Context, id string) (jose.JSONWebKey, error) {
	for {
		s.mu.Lock()
		now, age := time.Now(), time.Since(s.fetched)
		key, ok := s.keys.find(id)
		cooling := now.Before(s.next)
		flight, failing := s.flight, s.failures > 0
		switch {
		case ok && age < keysStale && (age < keysFresh || cooling || flight != nil):
			s.mu.Unlock()
			return key, nil
		case flight != nil:
			s.mu.Unlock()
			select {
			case <-flight:
			case <-ctx.Done():
				return key, context.Cause(ctx)
			}
		case cooling:
			s.mu.Unlock()
			if failing { // it may be a new one
				return key, errNoKeys
			}
			return key, errUnknownKey
		default:
			s.flight = make(chan struct{})
			s.mu.Unlock()
			s.refresh(ctx)
		}
	}
}

// refresh fetches the set, also if the caller has left: others wait for it.
func (s *keySet) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	var fetched keys
	err := errNoKeys
	defer func() { s.land(fetched, err) }() // whatever foreign bytes do to a parser
	if fetched, err = s.fetch(ctx); err != nil {
		s.log.WarnContext(ctx, "an issuer's keys cannot be fetched", "issuer", s.issuer, "err", err)
	}
}

// land ends the fetch that is under way.
func (s *keySet) land(fetched keys, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err != nil {
		s.next = now.Add(min(keyCooldown<<min(s.failures, 8), maxCooldown))
		s.failures++
		s.found = "" // the issuer may have moved its keys
	} else {
		s.keys, s.fetched, s.failures = fetched, now, 0
		s.next = now.Add(keyCooldown)
	}
	close(s.flight)
	s.flight = nil
}

func (s *keySet) fetch(ctx context.Context) (keys, error) {
	url := s.url
	if url == "" {
		if s.found == "" {
			found, err := s.discover(ctx)
			if err != nil {
				return nil, err
			}
			s.found = found
		}
		url = s.found
	}
	data, err := get(ctx, s.client, url)
	if err != nil {
		return nil, err
	}
	return parseKeys(data)
}

// discover asks the issuer where its keys are.
func (s *keySet) discover(ctx context.Context) (string, error) {
	doc, err := discover(ctx, s.client, s.issuer)
	if err != nil {
		return "", err
	}
	if err := validateURL(doc.JWKSURI, true); err != nil {
		return "", fmt.Errorf("read discovery document: jwks_uri: %w", err)
	}
	return doc.JWKSURI, nil
}

// A discovery is what an issuer says of itself (OpenID Connect Discovery 1.0), as
// far as it is used here.
type discovery struct {
	Issuer                string `json:"issuer"`
	JWKSURI               string `json:"jwks_uri"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`

	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

func discover(ctx context.Context, client *http.Client, issuer string) (discovery, error) {
	var doc discovery
	data, err := get(ctx, client, issuer+"/.well-known/openid-configuration")
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, fmt.Errorf("read discovery document: %w", err)
	}
	if canonicalIssuer(doc.Issuer) != canonicalIssuer(issuer) {
		return doc, fmt.Errorf("the discovery document is that of %.200q", doc.Issuer)
	}
	return doc, nil
}

// get fetches a small document. The client follows no redirects.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %s", url, resp.Status)
	}
	return readAll(resp.Body, maxKeySet)
}

// readAll reads up to limit bytes; more is an error.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("the answer has more than %d bytes", limit)
	}
	return data, err
}
