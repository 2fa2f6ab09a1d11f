package sigv4

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/runnelhq/runnel"
)

// Config holds the access keys, and what else signatures are checked against.
type Config struct {
	Keys []Key `yaml:"keys"`
	// Hosts are further names, with port where clients use one, by which
	// clients know this server.
	Hosts []string `yaml:"hosts"`
	// Regions that signatures may be for; none means any.
	Regions []string `yaml:"regions"`
}

// A Key is an access key that was made up for this gateway.
type Key struct {
	AccessKey string `yaml:"access_key"`
	Secret    Secret `yaml:"secret"`
	// SessionToken makes these temporary credentials: every request must carry
	// exactly this token. Without it a request's token is signed but not read.
	SessionToken Secret `yaml:"session_token"`
	// Expires is when the key ends; the zero time is never.
	Expires time.Time `yaml:"expires"`

	// User makes it a person's key: it owns the sessions that it uses, and
	// sees nobody else's. Others stand for a service, which may touch any.
	User   bool     `yaml:"user"`
	Groups []string `yaml:"groups"`
	// Actions are patterns of what it may do in the words of IAM, such as
	// bedrock:InvokeModel*; none means everything.
	Actions []string       `yaml:"actions"`
	Grants  []runnel.Grant `yaml:"grants"`
}

const (
	maxAccessKey = 128
	// minSecret keeps out secrets that can be guessed: whoever sees one signed
	// request can try them without asking us.
	minSecret = 16
)

// Validate says what is wrong with c, all of it.
func (c Config) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for i, k := range c.Keys {
		if err := k.validate(); err != nil {
			errs = append(errs, fmt.Errorf("sigv4: keys[%d]: %w", i, err))
		}
		if seen[k.AccessKey] {
			errs = append(errs, fmt.Errorf("sigv4: keys[%d]: access_key %q is there twice", i, k.AccessKey))
		}
		seen[k.AccessKey] = true
	}
	for i, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, "/ \t\r\n") {
			errs = append(errs, fmt.Errorf("sigv4: hosts[%d]: %q is not a host name with or without a port", i, h))
		}
	}
	for i, r := range c.Regions {
		if r == "" || strings.ContainsAny(r, "/, \t\r\n") {
			errs = append(errs, fmt.Errorf("sigv4: regions[%d]: %q is not a region such as us-east-1", i, r))
		}
	}
	return errors.Join(errs...)
}

func (k Key) validate() error {
	var errs []error
	if k.AccessKey == "" || len(k.AccessKey) > maxAccessKey || strings.Trim(k.AccessKey, accessKeyBytes) != "" {
		errs = append(errs, fmt.Errorf("access_key must be 1 to %d letters, digits, hyphens, underscores or dots", maxAccessKey))
	}
	if len(k.Secret) < minSecret {
		errs = append(errs, fmt.Errorf("secret must have at least %d characters: a shorter one can be guessed from a signed request", minSecret))
	}
	for _, a := range k.Actions {
		if _, err := path.Match(a, ""); err != nil || !(a == "*" || strings.Contains(a, ":")) {
			errs = append(errs, fmt.Errorf("action %q is not a pattern such as bedrock:InvokeModel* or *", a))
		}
	}
	for _, g := range k.Grants {
		for _, s := range g.Sessions {
			if _, err := path.Match(s, ""); err != nil {
				errs = append(errs, fmt.Errorf("%q is not a pattern of session ids: %w", s, err))
			}
		}
	}
	return errors.Join(errs...)
}

const accessKeyBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// A Secret is a text that is not shown, however it is printed.
type Secret string

const masked = "********"

// String returns stars, or nothing if there is nothing to hide.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText keeps it out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps it out of the log.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
