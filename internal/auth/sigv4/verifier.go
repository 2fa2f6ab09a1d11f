package sigv4

import (
	"crypto/subtle"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// window is how far a client's clock may be off.
const window = 5 * time.Minute

// A Verifier checks signatures. Its methods may be called concurrently.
type Verifier struct {
	now   func() time.Time
	state atomic.Pointer[state]

	issuer *Issuer // of further keys; nil: there are none

	reload sync.Mutex // held while state is replaced
}

// A state is a configuration in use.
type state struct {
	keys    map[string]*credential
	hosts   []string
	regions []string
	derived derivedKeys
}

// New returns a verifier with the keys of cfg; now tells the time.
func New(cfg Config, now func() time.Time) (*Verifier, error) {
	v := &Verifier{now: now}
	v.state.Store(&state{})
	if err := v.Reload(cfg); err != nil {
		return nil, err
	}
	return v, nil
}

// Accept has v accept what i issues. It is called before v is used.
func (v *Verifier) Accept(i *Issuer) { v.issuer = i }

// Reload replaces the configuration. Whoever authenticated with a key that is
// gone, or not what it was, finds its principal revoked. If cfg is not valid
// everything stays as it is.
func (v *Verifier) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	v.reload.Lock()
	defer v.reload.Unlock()
	old := v.state.Load()
	next := &state{keys: make(map[string]*credential, len(cfg.Keys)), hosts: cfg.Hosts, regions: cfg.Regions}
	for _, k := range cfg.Keys {
		c := old.keys[k.AccessKey]
		if c == nil || !reflect.DeepEqual(c.Key, k) {
			c = &credential{Key: k, revoked: make(chan struct{})}
		}
		next.keys[k.AccessKey] = c
	}
	v.state.Store(next)
	for name, c := range old.keys {
		if next.keys[name] != c {
			close(c.revoked)
		}
	}
	return nil
}

// Verify returns who signed r. The service is the one that the door stands for,
// in the words of a credential scope: execute-api, appsync, bedrock, lambda, lex
// or dynamodb; empty is any of them. The error is an [*Error], or comes from
// reading the body.
func (v *Verifier) Verify(r Request, service string) (*Identity, error) {
	c, err := parse(r)
	if err != nil {
		return nil, err
	}
	s := v.state.Load()
	key := s.keys[c.accessKey]
	if key == nil {
		key = v.issuer.find(c.accessKey, c.token)
	}
	if key == nil {
		return nil, refuse(UnknownClient, "The security token included in the request is invalid.")
	}
	now := v.now()
	if err := s.checkScope(c, service); err != nil {
		return nil, err
	}
	if err := c.checkTime(now); err != nil {
		return nil, err
	}
	if err := c.checkHeaders(r); err != nil {
		return nil, err
	}
	if err := s.checkSignature(c, key, r); err != nil {
		return nil, err
	}
	// Last, so that what we know of a key is told to its owner only.
	if err := key.check(c.token, now); err != nil {
		return nil, err
	}
	if err := key.allowService(c.service); err != nil {
		return nil, err
	}
	return &Identity{AccessKey: c.accessKey, Service: c.service, Region: c.region, key: key}, nil
}

func (s *state) checkScope(c *claim, want string) error {
	if _, known := serviceOf(c.service); !known || want != "" && c.service != want {
		if want == "" {
			return refuse(InvalidSignature, "Credential should be scoped to a service of this server.")
		}
		return refuse(InvalidSignature, "Credential should be scoped to correct service: '%s'.", want)
	}
	if len(s.regions) > 0 && !slices.Contains(s.regions, c.region) {
		return refuse(InvalidSignature, "Credential should be scoped to a valid region.")
	}
	return nil
}

// checkTime holds the signature against the clock.
func (c *claim) checkTime(now time.Time) error {
	const tooEarly = "Signature not yet current: %s is still later than %s (%s + 5 min.)"
	const tooLate = "Signature expired: %s is now earlier than %s (%s - 5 min.)"
	stamp := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	switch {
	case c.at.After(now.Add(window)):
		return refuse(InvalidSignature, tooEarly, c.stamp, stamp(now.Add(window)), stamp(now))
	case c.expires > 0 && now.After(c.at.Add(c.expires)):
		return refuse(RequestExpired, "Request has expired: it was good until %s.", stamp(c.at.Add(c.expires)))
	case c.expires == 0 && c.at.Before(now.Add(-window)):
		return refuse(InvalidSignature, tooLate, c.stamp, stamp(now.Add(-window)), stamp(now))
	}
	return nil
}

// checkHeaders makes sure that the signature covers what it must.
func (c *claim) checkHeaders(r Request) error {
	if !slices.Contains(c.headers, "host") && !slices.Contains(c.headers, authority) {
		return refuse(Incomplete, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for _, name := range c.headers {
		if name != "host" && name != authority && len(r.Header.Values(name)) == 0 {
			return mismatch()
		}
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if mustBeSigned(name) && !slices.Contains(c.headers, name) {
			return refuse(InvalidSignature, "The header '%s' is there but was not signed.", name)
		}
	}
	return nil
}

// mustBeSigned reports whether a header may change what a request means to an
// AWS service: all of the x-amz family, but those that only describe the client
// (Apollo adds its own after signing) or the proxy on the way.
func mustBeSigned(name string) bool {
	return strings.HasPrefix(name, "x-amz-") && name != "x-amz-user-agent" && name != "x-amz-cf-id"
}

// checkSignature tries the forms that clients sign, the likely one first.
func (s *state) checkSignature(c *claim, key *credential, r Request) error {
	svc, _ := serviceOf(c.service)
	payloads, err := r.payloads(svc)
	if err != nil {
		return err
	}
	sc := scope{c.accessKey, c.date, c.region, c.service}
	signing := s.derived.get(sc)
	known := signing != nil
	if !known {
		signing = derive(string(key.Secret), sc)
	}
	hosts := canonicalHosts(r.Host, s.hosts)
	for _, endpoint := range svc.endpoints { // a page that is led here signs for where it believes to be
		hosts = append(hosts, endpoint+"."+c.region+".amazonaws.com")
	}
	query, buf := canonicalQuery(c.query), make([]byte, 0, 1024)
	for _, payload := range payloads {
		for _, path := range canonicalPaths(r.Target) {
			for _, host := range hosts {
				if !c.signs(signing, c.appendRequest(buf, r, path, query, host, payload)) {
					continue
				}
				if !known {
					s.derived.put(sc, signing)
				}
				return nil
			}
		}
	}
	return mismatch()
}

// check holds a request's session token against the key.
func (k *credential) check(token string, now time.Time) error {
	if k.SessionToken != "" && subtle.ConstantTimeCompare([]byte(k.SessionToken), []byte(token)) != 1 {
		return refuse(UnknownClient, "The security token included in the request is invalid.")
	}
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return refuse(ExpiredToken, "The security token included in the request is expired")
	}
	return nil
}

// A service is what differs between those that requests are signed for.
type service struct {
	unsignedBody bool     // clients may leave the body unsigned: RecognizeUtterance streams it
	apollo       bool     // clients may have signed another body than they sent
	endpoints    []string // in AWS's names for it, where clients in browsers know no other
}

func serviceOf(name string) (s service, known bool) {
	switch name {
	case "lex":
		return service{unsignedBody: true, endpoints: []string{"runtime-v2-lex", "runtime.lex"}}, true
	case "appsync":
		return service{apollo: true}, true
	case "execute-api", "bedrock", "lambda", "dynamodb":
		return service{}, true
	}
	return service{}, false
}
