package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/runnelhq/runnel"
)

const (
	scopeOpenID = "openid"

	endpointsFresh    = time.Hour        // after it an issuer is asked again
	endpointsCooldown = 10 * time.Second // after a failure
	endpointsTimeout  = 3 * time.Second
)

// A Provider is what the page must know to sign people in with an issuer.
// Nothing of it is secret.
type Provider struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint,omitempty"`

	Algorithms []string `json:"id_token_signing_alg_values_supported,omitempty"`

	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Resource string `json:"resource,omitempty"`
	Audience string `json:"audience,omitempty"`
	// Token is which of the tokens to show: id or access.
	Token string `json:"token"`
}

// TokenOrigin is the origin that the page gets its tokens from.
func (p Provider) TokenOrigin() string {
	u, _ := url.Parse(p.TokenEndpoint) // which was validated
	return u.Scheme + "://" + u.Host
}

// SignIn returns with whom people sign in on the page; nil if with nobody. The
// error is of kind Unavailable: the issuer does not say where.
func (s *Service) SignIn(ctx context.Context) (*Provider, error) {
	for _, is := range s.state.Load().issuers {
		if is.page == nil {
			continue
		}
		p, err := is.page.provider(ctx)
		if err != nil {
			return nil, runnel.Errorf(runnel.Unavailable, "the issuer does not answer, so nobody can sign in").Because(err)
		}
		return p, nil
	}
	return nil, nil //nolint:nilnil // there is nobody, and that is no fault
}

// A page knows where people sign in with an issuer. It asks when somebody wants
// to know, one request at a time.
type page struct {
	cfg    Issuer
	issuer string // without a slash at its end
	client *http.Client
	log    *slog.Logger

	mu    sync.Mutex // held while the issuer is asked, which is not for long
	found *Provider  // nil until the issuer has answered
	err   error      // of the last request
	next  time.Time  // when it is asked again
}

func (p *page) provider(ctx context.Context) (*Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.next) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endpointsTimeout)
		defer cancel()
		var found *Provider
		found, p.err = p.discover(ctx)
		p.next = time.Now().Add(endpointsCooldown)
		if p.err == nil {
			p.found, p.next = found, now.Add(endpointsFresh)
		} else {
			p.log.WarnContext(ctx, "an issuer does not say where people sign in", "issuer", p.issuer, "err", p.err)
		}
	}
	if p.found != nil { // endpoints do not move because their issuer is away for a moment
		return p.found, nil
	}
	return nil, p.err
}

func (p *page) discover(ctx context.Context) (*Provider, error) {
	doc, err := discover(ctx, p.client, p.issuer)
	if err != nil {
		return nil, err
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": doc.AuthorizationEndpoint, "token_endpoint": doc.TokenEndpoint, "end_session_endpoint": doc.EndSessionEndpoint,
	} {
		if endpoint == "" && name == "end_session_endpoint" {
			continue
		}
		if err := validateURL(endpoint, true); err != nil {
			return nil, fmt.Errorf("read discovery document: %s: %w", name, err)
		}
		if strings.ContainsAny(endpoint, ";,' ") { // what would be more than an origin in a policy
			return nil, fmt.Errorf("read discovery document: %s: %q", name, endpoint)
		}
	}
	found := &Provider{
		Issuer: doc.Issuer, AuthorizationEndpoint: doc.AuthorizationEndpoint, TokenEndpoint: doc.TokenEndpoint,
		EndSessionEndpoint: doc.EndSessionEndpoint, Algorithms: doc.Algorithms,
		ClientID: p.cfg.SignIn.ClientID, Scope: p.cfg.SignIn.Scope, Resource: p.cfg.SignIn.Resource, Audience: p.cfg.SignIn.Audience,
		Token: p.cfg.SignIn.Token,
	}
	if found.Scope == "" {
		found.Scope = scopeOpenID
	}
	if found.Token == "" {
		found.Token = useAccess
	}
	return found, nil
}
