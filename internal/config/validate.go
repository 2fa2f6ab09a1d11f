package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/peer"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// A settingError is about the value of one setting.
type settingError struct {
	name string // of the setting
	msg  string
}

func (e *settingError) Error() string { return "--" + e.name + ": " + e.msg }

func invalid(name, format string, args ...any) error {
	return &settingError{name: name, msg: fmt.Sprintf(format, args...)}
}

// An accessError is about who may use the node, or another setting that has
// members of its own. It begins with the path of one, such as keys[0].hash, and
// a colon.
type accessError struct{ msg string }

func (e *accessError) Error() string { return e.msg }

func (e *accessError) path() string {
	path, _, _ := strings.Cut(e.msg, ":")
	return path
}

// Validate reports the first thing that is wrong with c beyond what the tags of
// its fields say.
func (c *Config) Validate() error {
	if err := c.validateListen(); err != nil {
		return err
	}
	if err := c.validateAccess(); err != nil {
		return err
	}
	if err := wsapi.Validate(c.WebSocketAPIs); err != nil {
		return &accessError{"websocket_apis" + err.Error()}
	}
	if err := gqlapi.Validate(c.GraphQL); err != nil {
		return &accessError{"graphql" + err.Error()}
	}
	if err := gqlapi.ValidateNamespaces(c.EventNamespaces); err != nil {
		return &accessError{"event_namespaces" + err.Error()}
	}
	if err := c.validateFunctions(); err != nil {
		return &accessError{err.Error()}
	}
	if err := c.validateLex(); err != nil {
		return &accessError{err.Error()}
	}
	if err := c.validateBedrock(); err != nil {
		return &accessError{err.Error()}
	}
	if c.DataDir == "" && len(c.NATSURL) == 0 {
		return invalid("data-dir", "the folder of the log has no name")
	}
	if len(c.Model) == 0 {
		return invalid("model", "there must be a model; echo needs nothing")
	}
	for _, u := range c.NATSURL {
		if err := validateNATSURL(u); err != nil {
			return err
		}
	}
	if err := c.validateNATS(); err != nil {
		return err
	}
	if err := c.validateTLS(); err != nil {
		return err
	}
	if err := validateEndpoint(c.OTLPEndpoint); err != nil {
		return err
	}
	if _, err := peer.ParseProxies(c.TrustedProxies); err != nil {
		return invalid("trusted-proxies", "%v", err)
	}
	if _, err := peer.ParseOrigins(c.CORSOrigins); err != nil {
		return invalid("cors-origins", "%v", err)
	}
	return nil
}

func (c *Config) validateListen() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return invalid("listen", "%q is not an address; write HOST:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return invalid("listen", "%q is not a port; allowed: 0 to 65535", port)
	}
	if c.Insecure || c.Authenticates() || loopback(host) {
		return nil
	}
	return invalid("listen", `%s can be reached from other machines, and no credentials are configured:
anyone there could read every session and spend your money on models.
Make a key with "runnel key new" and put it into the configuration file,
listen on 127.0.0.1 with a proxy in front that checks its callers,
or pass --insecure if everyone who can reach this address may use it.`, c.Listen)
}

func (c *Config) validateTLS() error {
	switch {
	case c.DevTLS && c.TLSCert+c.TLSKey != "":
		return invalid("dev-tls", "there is a certificate already; give either --dev-tls or --tls-cert")
	case c.DevTLS && c.DataDir == "":
		return invalid("dev-tls", "the folder for its certificate has no name; set --data-dir")
	case c.TLSCert == "" && c.TLSKey != "":
		return invalid("tls-key", "it has no effect without --tls-cert")
	case c.TLSCert != "" && c.TLSKey == "":
		return invalid("tls-cert", "its key is missing; set --tls-key")
	}
	return nil
}

func (c *Config) validateAccess() error {
	if err := c.Auth().Validate(); err != nil {
		return &accessError{err.Error()}
	}
	if err := c.IAM.Validate(); err != nil {
		return &accessError{"iam." + strings.TrimPrefix(first(err).Error(), "sigv4: ")}
	}
	if err := c.Limits.Validate(); err != nil {
		return &accessError{first(err).Error()}
	}
	return nil
}

func (c *Config) validateFunctions() error {
	if err := function.Validate(c.Functions); err != nil {
		return err
	}
	for i, f := range c.Functions {
		if f.URL != nil && f.URL.Auth == function.AuthIAM && len(c.IAM.Keys) == 0 {
			return fmt.Errorf("functions[%d].url.auth: nobody could use it; iam.keys has no key", i)
		}
	}
	if c.Webhook != nil {
		if err := c.knowsFunction(c.Webhook.URL); err != nil {
			return fmt.Errorf("webhook.url: %w", err)
		}
	}
	for i, api := range c.WebSocketAPIs {
		for j, route := range api.Routes {
			if err := c.knowsFunction(route.URL); err != nil {
				return fmt.Errorf("websocket_apis[%d].routes[%d].url: %w", i, j, err)
			}
		}
	}
	return nil
}

func (c *Config) validateBedrock() error {
	seen := map[string]bool{}
	for i, m := range c.BedrockModels {
		switch {
		case m.ID == "":
			return fmt.Errorf("bedrock_models[%d].id: it is empty", i)
		case seen[m.ID]:
			return fmt.Errorf("bedrock_models[%d].id: %q is listed twice", i, m.ID)
		case m.Model == "":
			return fmt.Errorf("bedrock_models[%d].model: it is empty; name a route or a model", i)
		}
		seen[m.ID] = true
	}
	return nil
}

func (c *Config) validateLex() error {
	l := &c.Lex
	switch {
	case l.Function != "" && l.Model+l.System != "":
		return errors.New("lex.function: it answers in place of a model; leave out model and system")
	case l.Function != "" && !slices.ContainsFunc(c.Functions, func(f function.Config) bool { return f.Name == l.Function }):
		return fmt.Errorf("lex.function: functions has none of the name %q", l.Function)
	case l.Secret != "" && len(l.Secret) < 16:
		return errors.New("lex.secret: it must have at least 16 characters")
	}
	return nil
}

// knowsFunction makes sure that a URL, if it is a function's, is that of one.
func (c *Config) knowsFunction(text string) error {
	name, ok := function.Named(text)
	if !ok || slices.ContainsFunc(c.Functions, func(f function.Config) bool { return f.Name == name }) {
		return nil
	}
	return fmt.Errorf("functions has none of the name %q", name)
}

// first returns the first of joined errors.
func first(err error) error {
	if all, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return all.Unwrap()[0]
	}
	return err
}

// loopback reports whether only this machine can connect to host. Names are
// not looked up: what they mean may change.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// validateEndpoint reports what is wrong with the address of a collector.
func validateEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return invalid("otlp-endpoint", "it is not a URL; write it like http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "":
		return invalid("otlp-endpoint", "credentials go into OTEL_EXPORTER_OTLP_HEADERS, not into the URL")
	}
	return nil
}

func (c *Config) validateNATS() error {
	if (c.NATSCert == "") != (c.NATSKey == "") {
		return invalid("nats-cert", "a certificate and its key go together: --nats-cert and --nats-key")
	}
	if len(c.NATSURL) > 0 {
		return nil
	}
	for _, s := range []struct {
		name string
		set  bool
	}{
		{"nats-creds", c.NATSCreds != ""},
		{"nats-ca", c.NATSCA != ""},
		{"nats-cert", c.NATSCert != ""},
		{"nats-replicas", c.NATSReplicas > 0},
	} {
		if s.set {
			return invalid(s.name, "it has no effect without --nats-url")
		}
	}
	if c.Role != All {
		return invalid("role", "a %s shares its log with others, so it needs --nats-url", c.Role)
	}
	return nil
}

func validateNATSURL(text string) error {
	const example = "write it like nats://host:4222"
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		// The text may hold a password.
		return invalid("nats-url", "it is not a URL; %s", example)
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return nil
	}
	return invalid("nats-url", "%q is not a scheme for NATS; allowed: nats, tls, ws or wss; %s", u.Scheme, example)
}
