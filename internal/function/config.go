package function

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Config describes one function. Exactly one of Command, Invoke and HTTP says
// where it runs. A zero field means the default beside it.
type Config struct {
	Name string `yaml:"name"`

	// Command starts a process that speaks the Lambda Runtime API.
	Command []string `yaml:"command"`
	Dir     string   `yaml:"dir"`     // where it starts, and LAMBDA_TASK_ROOT: the present folder
	Handler string   `yaml:"handler"` // _HANDLER
	// Env is what the process gets beside the variables of Lambda: NAME=value, or
	// NAME alone for the value that Runnel's own variable has.
	Env    []Variable    `yaml:"env"`
	Memory int           `yaml:"memory"` // MiB; more kills the process, on Linux: no limit
	Idle   time.Duration `yaml:"idle"`   // after which an unused process ends: 5 min

	Invoke *Remote `yaml:"invoke"` // a function behind an Invoke API
	HTTP   string  `yaml:"http"`   // a URL that events are posted to

	Timeout     time.Duration `yaml:"timeout"`     // of one invocation: 1 min
	Concurrency int           `yaml:"concurrency"` // processes, or calls at once: 10

	URL *URL `yaml:"url"` // makes it a function URL: none
}

// A Remote is a function behind another Invoke API: Lambda itself, its runtime
// interface emulator, or another Runnel.
type Remote struct {
	Endpoint string `yaml:"endpoint"` // such as http://127.0.0.1:9000: that of Lambda in the region
	Function string `yaml:"function"` // name or ARN; the emulator's is called function
	Region   string `yaml:"region"`   // AWS_REGION
	Profile  string `yaml:"profile"`  // of the AWS configuration; empty: as the SDK chooses
	// Unsigned leaves the signature out, for the emulator.
	Unsigned bool `yaml:"unsigned"`
	// Stream uses InvokeWithResponseStream, which the emulator lacks.
	Stream bool `yaml:"stream"`
}

// A URL is how a function is reached over plain HTTP.
type URL struct {
	// Auth is none for everybody, iam for those with an AWS signature, and
	// gateway for whoever may use the other doors.
	Auth string `yaml:"auth"`
	// Mode is buffered, or stream for answers that are shown as they come.
	Mode string `yaml:"mode"`
	CORS *CORS  `yaml:"cors"` // none: the function sees OPTIONS, too
	// Linger is for how long an invocation goes on after its client has left: 5 s.
	Linger time.Duration `yaml:"linger"`
}

// CORS says which web pages may use a function URL.
type CORS struct {
	Origins     []string      `yaml:"origins"` // * is any
	Methods     []string      `yaml:"methods"`
	Headers     []string      `yaml:"headers"`
	Expose      []string      `yaml:"expose"`
	Credentials bool          `yaml:"credentials"`
	MaxAge      time.Duration `yaml:"max_age"`
}

// What [URL] may say.
const (
	AuthNone    = "none"
	AuthIAM     = "iam"
	AuthGateway = "gateway"

	ModeBuffered = "buffered"
	ModeStream   = "stream"
)

// A Variable is an entry of a process's environment. What it holds may be a
// secret, so it is not shown.
type Variable string

// MarshalText shows the name only.
func (v Variable) MarshalText() ([]byte, error) {
	name, _, given := strings.Cut(string(v), "=")
	if given {
		name += "=***"
	}
	return []byte(name), nil
}

const (
	defaultTimeout     = time.Minute
	defaultConcurrency = 10
	defaultIdle        = 5 * time.Minute
	defaultLinger      = 5 * time.Second

	maxTimeout     = 24 * time.Hour
	maxConcurrency = 1000
	maxMemory      = 1 << 20 // MiB
	maxCORSAge     = 24 * time.Hour
)

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Idle <= 0 {
		c.Idle = defaultIdle
	}
	if c.URL != nil {
		u := *c.URL
		if u.Mode == "" {
			u.Mode = ModeBuffered
		}
		if u.Linger <= 0 {
			u.Linger = defaultLinger
		}
		c.URL = &u
	}
	return c
}

var (
	nameForm     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(=|$)`)
)

// Validate says what is wrong first, with its place, such as functions[0].name.
func Validate(all []Config) error {
	names := map[string]bool{}
	for i, c := range all {
		err := c.validate()
		if err == nil && names[c.Name] {
			err = fmt.Errorf("name: another function is called %q", c.Name)
		}
		if err != nil {
			return fmt.Errorf("functions[%d].%w", i, err)
		}
		names[c.Name] = true
	}
	return nil
}

func (c Config) validate() error {
	if !nameForm.MatchString(c.Name) {
		return fmt.Errorf("name: %q must be 1 to 64 letters, digits, hyphens or underscores", c.Name)
	}
	if err := c.validatePlace(); err != nil {
		return err
	}
	for _, v := range c.Env {
		if !variableForm.MatchString(string(v)) {
			return errors.New("env: write NAME=value, or NAME for the value of Runnel's own variable")
		}
	}
	switch {
	case c.Timeout < 0 || c.Timeout > maxTimeout:
		return fmt.Errorf("timeout: %v is out of range; allowed: up to %v", c.Timeout, maxTimeout)
	case c.Concurrency < 0 || c.Concurrency > maxConcurrency:
		return fmt.Errorf("concurrency: %d is out of range; allowed: 1 to %d", c.Concurrency, maxConcurrency)
	case c.Memory < 0 || c.Memory > maxMemory:
		return fmt.Errorf("memory: %d is out of range; allowed: 1 to %d, in MiB", c.Memory, maxMemory)
	case c.Idle < 0:
		return fmt.Errorf("idle: %v is out of range", c.Idle)
	case c.URL != nil:
		return c.URL.validate()
	}
	return nil
}

// validatePlace makes sure that there is one place where the function runs.
func (c Config) validatePlace() error {
	places := 0
	for _, given := range []bool{len(c.Command) > 0, c.Invoke != nil, c.HTTP != ""} {
		if given {
			places++
		}
	}
	if places != 1 {
		return errors.New("name: say where it runs, with one of command, invoke and http")
	}
	if len(c.Command) == 0 && (c.Dir != "" || c.Handler != "" || len(c.Env) > 0 || c.Memory > 0 || c.Idle > 0) {
		return errors.New("name: dir, handler, env, memory and idle go with command")
	}
	if c.HTTP != "" {
		if err := validateURL(c.HTTP); err != nil {
			return fmt.Errorf("http: %w", err)
		}
	}
	if c.Invoke == nil {
		return nil
	}
	if c.Invoke.Function == "" {
		return errors.New("invoke.function: the function's name or ARN is missing")
	}
	if c.Invoke.Endpoint != "" {
		if err := validateURL(c.Invoke.Endpoint); err != nil {
			return fmt.Errorf("invoke.endpoint: %w", err)
		}
	}
	return nil
}

func validateURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("it must look like https://host/path")
	}
	return nil
}

func (u URL) validate() error {
	if !slices.Contains([]string{AuthNone, AuthIAM, AuthGateway}, u.Auth) {
		return fmt.Errorf("url.auth: %q is not one of the allowed words; allowed: none, iam or gateway", u.Auth)
	}
	if !slices.Contains([]string{"", ModeBuffered, ModeStream}, u.Mode) {
		return fmt.Errorf("url.mode: %q is not one of the allowed words; allowed: buffered or stream", u.Mode)
	}
	if u.Linger < 0 || u.Linger > maxTimeout {
		return fmt.Errorf("url.linger: %v is out of range; allowed: up to %v", u.Linger, maxTimeout)
	}
	if u.CORS == nil {
		return nil
	}
	switch {
	case len(u.CORS.Origins) == 0:
		return errors.New("url.cors.origins: name at least one, or *")
	case u.CORS.Credentials && slices.Contains(u.CORS.Origins, "*"):
		return errors.New("url.cors.credentials: any page could act for its visitor; name the origins")
	case u.CORS.MaxAge < 0 || u.CORS.MaxAge > maxCORSAge:
		return fmt.Errorf("url.cors.max_age: %v is out of range; allowed: up to %v", u.CORS.MaxAge, maxCORSAge)
	}
	return nil
}
