package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/peer"
)

// A Service authenticates callers. Its methods may be called concurrently.
type Service struct {
	client *http.Client
	log    *slog.Logger
	audit  Audit

	state  atomic.Pointer[state]
	reload sync.Mutex // held by Reload
}

// A state is everything that one configuration means. It is never changed,
// except that leases end and caches fill.
type state struct {
	nobody  *runnel.Principal // everybody, if nobody is asked; nil otherwise
	origins peer.Origins
	keys    []apiKey
	issuers map[string]*issuer // by canonical name
	cookies []string
	tokens  *cache[*runnel.Principal] // verified ones, by digest
	signers func(Credentials) (*runnel.Principal, error)
	webhook *webhook          // nil if there is none
	leases  map[string]*lease // by what they are for
	ends    map[<-chan struct{}]*lease
}

// New returns a service. The client asks issuers for their keys and calls the
// webhook; nil means the default one. Redirects are not followed: they would
// lead to whomever the other side likes.
func New(cfg Config, client *http.Client, logger *slog.Logger) (*Service, error) {
	own := new(http.Client)
	if client != nil {
		*own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &Service{client: own, log: logger.With("component", "auth"), audit: NewAudit(logger)}
	st, err := s.build(cfg, &state{})
	if err != nil {
		return nil, err
	}
	s.state.Store(st)
	return s, nil
}

// Reload replaces the configuration. If the new one cannot be used the error
// says why, and the old one stays. What a principal was recognised by, and is
// gone or different now, is withdrawn: its [runnel.Principal.Revoked] is closed.
func (s *Service) Reload(cfg Config) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	old := s.state.Load()
	st, err := s.build(cfg, old)
	if err != nil {
		return err
	}
	s.state.Store(st)
	for name, l := range old.leases {
		if st.leases[name] != l {
			l.end()
			s.audit.Acted(context.Background(), "", "withdraw", name)
		}
	}
	return nil
}

// build makes a state of cfg out of new parts and those of old that have not
// changed.
func (s *Service) build(cfg Config, old *state) (*state, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	st := &state{
		origins: cfg.Origins, issuers: map[string]*issuer{}, tokens: newCache[*runnel.Principal](),
		signers: cfg.Signatures, leases: map[string]*lease{}, ends: map[<-chan struct{}]*lease{},
	}
	if !cfg.Enabled() { // until somebody is
		st.nobody = &runnel.Principal{Revoked: st.lease(old, "nobody", nil).done()}
	}
	for _, k := range cfg.Keys {
		key, err := newAPIKey(k, st.lease(old, "key:"+k.Name, k))
		if err != nil {
			return nil, fmt.Errorf("auth: key %s: %w", k.Name, err)
		}
		st.keys = append(st.keys, key)
	}
	for _, c := range cfg.Issuers {
		name := canonicalIssuer(c.Issuer)
		is, err := newIssuer(c, old.issuers[name], st.lease(old, "issuer:"+name, c), s.client, s.log)
		if err != nil {
			return nil, fmt.Errorf("auth: issuer %s: %w", name, err)
		}
		st.issuers[name] = is
		if c.Cookie != "" {
			st.cookies = append(st.cookies, c.Cookie)
		}
	}
	if cfg.Webhook != nil {
		st.webhook = newWebhook(*cfg.Webhook, st.lease(old, "webhook", *cfg.Webhook), s.client)
	}
	return st, nil
}

// Authenticate returns who shows the credentials; a principal without an ID if
// nobody is to be asked. The error is of kind Unauthenticated, Denied, or Unavailable
// if the party that would know does not answer. It is in the audit log already.
func (s *Service) Authenticate(ctx context.Context, c Credentials) (*runnel.Principal, error) {
	st := s.state.Load()
	if st.nobody != nil {
		return st.nobody, nil
	}
	p, err := st.authenticate(ctx, c)
	if err != nil {
		s.refused(ctx, c, err)
		return nil, err
	}
	return p, nil
}

func (s *Service) refused(ctx context.Context, c Credentials, err error) {
	r, ok := errors.AsType[*refusal](err)
	if !ok { // the caller has left meanwhile
		return
	}
	remote := ""
	if c.Request != nil {
		remote = c.Request.RemoteAddr
	}
	s.audit.Refused(ctx, r.scheme, r.reason, r.principal, remote)
	if runnel.KindOf(r.err) == runnel.Unavailable {
		s.log.WarnContext(ctx, "credentials cannot be checked", "scheme", r.scheme, "err", r.err)
	}
}

// authenticate chooses the scheme; doc.go says by which rules.
func (st *state) authenticate(ctx context.Context, c Credentials) (*runnel.Principal, error) {
	if c.APIKey != "" && len(st.keys) > 0 {
		return admitKey(findKey(st.keys, c.APIKey))
	}
	if st.signers != nil && c.signed() {
		return st.withSignature(c)
	}
	if c.Token == "" {
		c.Token = c.cookie(st.cookies, st.origins)
	}
	if p, ours, err := st.withToken(ctx, c.Token); ours {
		return p, err
	}
	if len(st.keys) > 0 {
		if p := findKey(st.keys, c.Token); p != nil || strings.HasPrefix(c.Token, KeyPrefix) {
			return admitKey(p)
		}
	}
	if st.webhook != nil {
		return st.webhook.authenticate(ctx, c)
	}
	switch {
	case c.Token == "" && c.APIKey == "":
		if st.signers != nil && len(st.keys) == 0 && len(st.issuers) == 0 { // then it is a signature that is missing
			return nil, refuse(SchemeSigV4, reasonNone, errNone)
		}
		return nil, refuse("", reasonNone, errNone)
	case len(st.issuers) > 0 && looksLikeJWT(c.Token):
		return nil, refuse(SchemeOIDC, reasonIssuer, errBad)
	}
	return nil, refuse("", reasonUnknown, errBad)
}
