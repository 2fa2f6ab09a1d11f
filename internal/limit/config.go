package limit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/runnelhq/runnel"
)

// Config says what is allowed to whom.
type Config struct {
	// Default holds for everybody, but for what the first matching rule says.
	Default Limits `yaml:"default"`
	Rules   []Rule `yaml:"rules"`
}

// Limits are what one principal may use. Zero means what the default says, and
// in the default no limit; [Unlimited] means no limit.
type Limits struct {
	Rate        float64 `yaml:"rate"`        // requests per second and node, in the long run
	Burst       int     `yaml:"burst"`       // requests at once; a second's worth if not set
	Connections int     `yaml:"connections"` // open at the same time on a node
	Generations int     `yaml:"generations"` // waiting or running at the same time
	Prompts     int64   `yaml:"prompts_per_day"`
	Tokens      int64   `yaml:"tokens_per_day"` // of prompts and answers
	MaxBody     Bytes   `yaml:"max_body"`       // of a request
	MaxFrame    Bytes   `yaml:"max_frame"`      // a message on an open connection
	MaxPrompt   Bytes   `yaml:"max_prompt"`     // the text of a prompt
}

// Bytes is a size.
type Bytes int64

// Unlimited lifts a limit of the default.
const Unlimited = -1

// A Rule gives limits of their own to some principals.
type Rule struct {
	// Principals are patterns of accounts, which are the ids of principals, and
	// of callers without one their addresses; * is any text, ? any byte.
	Principals []string `yaml:"principals"`
	// Groups match the members of any of them.
	Groups []string `yaml:"groups"`
	Limits `yaml:",inline"`
}

// Validate says what is wrong with c, all of it.
func (c Config) Validate() error {
	var errs []error
	if err := c.Default.validate(); err != nil {
		errs = append(errs, fmt.Errorf("limits.default: %w", err))
	}
	for i, r := range c.Rules {
		if len(r.Principals) == 0 && len(r.Groups) == 0 {
			errs = append(errs, fmt.Errorf("limits.rules[%d]: it is for nobody; it needs principals or groups", i))
		}
		if slices.Contains(r.Principals, "") || slices.Contains(r.Groups, "") {
			errs = append(errs, fmt.Errorf("limits.rules[%d]: it has an empty principal or group", i))
		}
		if err := r.Limits.validate(); err != nil {
			errs = append(errs, fmt.Errorf("limits.rules[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (l Limits) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"rate", l.Rate}, {"burst", float64(l.Burst)}, {"connections", float64(l.Connections)},
		{"generations", float64(l.Generations)}, {"prompts_per_day", float64(l.Prompts)}, {"tokens_per_day", float64(l.Tokens)},
		{"max_body", float64(l.MaxBody)}, {"max_frame", float64(l.MaxFrame)}, {"max_prompt", float64(l.MaxPrompt)},
	} {
		if f.value < 0 && f.value != Unlimited || math.IsNaN(f.value) || math.IsInf(f.value, 0) {
			errs = append(errs, fmt.Errorf("%s must be a limit, or %d for none", f.name, Unlimited))
		}
	}
	if l.Burst < 0 {
		errs = append(errs, errors.New("burst cannot be without limit; set rate to that"))
	}
	return errors.Join(errs...)
}

// none reports whether nobody has a limit.
func (c *Config) none() bool { return c.Default == Limits{} && len(c.Rules) == 0 }

// accountOf returns to whose limits it counts what p uses.
func accountOf(p *runnel.Principal) string { return cmp.Or(p.Account, p.ID) }

func (r *Rule) isFor(p *runnel.Principal) bool {
	for _, pattern := range r.Principals {
		if match(pattern, accountOf(p)) {
			return true
		}
	}
	for _, group := range r.Groups {
		if slices.Contains(p.Groups, group) {
			return true
		}
	}
	return false
}

// of returns the limits of a principal; in them zero is no limit. It is asked
// for every request, and does not allocate.
func (c *Config) of(p *runnel.Principal) Limits {
	limits := c.Default
	for i := range c.Rules {
		if !c.Rules[i].isFor(p) {
			continue
		}
		r := &c.Rules[i].Limits
		limits = Limits{
			Rate:        cmp.Or(r.Rate, limits.Rate),
			Burst:       cmp.Or(r.Burst, limits.Burst),
			Connections: cmp.Or(r.Connections, limits.Connections),
			Generations: cmp.Or(r.Generations, limits.Generations),
			Prompts:     cmp.Or(r.Prompts, limits.Prompts),
			Tokens:      cmp.Or(r.Tokens, limits.Tokens),
			MaxBody:     cmp.Or(r.MaxBody, limits.MaxBody),
			MaxFrame:    cmp.Or(r.MaxFrame, limits.MaxFrame),
			MaxPrompt:   cmp.Or(r.MaxPrompt, limits.MaxPrompt),
		}
		// A burst belongs to its rate.
		if r.Rate != 0 {
			limits.Burst = r.Burst
		}
		break
	}
	limits.Rate = max(limits.Rate, 0)
	if limits.Burst == 0 {
		limits.Burst = int(math.Ceil(min(limits.Rate, math.MaxInt32)))
	}
	limits.Connections = max(limits.Connections, 0)
	limits.Generations = max(limits.Generations, 0)
	limits.Prompts = max(limits.Prompts, 0)
	limits.Tokens = max(limits.Tokens, 0)
	limits.MaxBody = max(limits.MaxBody, 0)
	limits.MaxFrame = max(limits.MaxFrame, 0)
	limits.MaxPrompt = max(limits.MaxPrompt, 0)
	return limits
}

// match reports whether s is of the pattern, in time that grows with their
// product at the worst. Unlike [path.Match] it lets * stand for slashes, which
// the ids of principals are full of.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last * seen, and what it stands for so far ends here
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
