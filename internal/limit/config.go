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
	// Connections is how many this node holds, everybody's together; 0 is any number.
	Connections int `yaml:"connections"`
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
}

// Unlimited lifts a limit of the default.
const Unlimited = -1

// A Rule gives limits of their own to some principals.
type Rule struct {
	// Principals are patterns of principal ids; * is any text, ? any byte.
	Principals []string `yaml:"principals"`
	// Groups match the members of any of them.
	Groups []string `yaml:"groups"`
	Limits `yaml:",inline"`
}

// Validate says what is wrong with c, all of it.
func (c Config) Validate() error {
	var errs []error
	if c.Connections < 0 {
		errs = append(errs, errors.New("limit: connections must not be negative; 0 is no limit"))
	}
	if err := c.Default.validate(); err != nil {
		errs = append(errs, fmt.Errorf("limit: default: %w", err))
	}
	for i, r := range c.Rules {
		if len(r.Principals) == 0 && len(r.Groups) == 0 {
			errs = append(errs, fmt.Errorf("limit: rules[%d] is for nobody; it needs principals or groups", i))
		}
		if slices.Contains(r.Principals, "") || slices.Contains(r.Groups, "") {
			errs = append(errs, fmt.Errorf("limit: rules[%d] has an empty principal or group", i))
		}
		if err := r.Limits.validate(); err != nil {
			errs = append(errs, fmt.Errorf("limit: rules[%d]: %w", i, err))
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

// of returns the limits of a principal; in them zero is no limit.
func (c *Config) of(p *runnel.Principal) Limits {
	limits := c.Default
	i := slices.IndexFunc(c.Rules, func(r Rule) bool {
		return slices.ContainsFunc(r.Principals, func(pattern string) bool { return match(pattern, p.ID) }) ||
			slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(p.Groups, g) })
	})
	if i >= 0 {
		r := c.Rules[i].Limits
		limits = Limits{
			Rate:        cmp.Or(r.Rate, limits.Rate),
			Burst:       cmp.Or(r.Burst, limits.Burst),
			Connections: cmp.Or(r.Connections, limits.Connections),
			Generations: cmp.Or(r.Generations, limits.Generations),
			Prompts:     cmp.Or(r.Prompts, limits.Prompts),
			Tokens:      cmp.Or(r.Tokens, limits.Tokens),
		}
		// A burst belongs to its rate.
		if r.Rate != 0 {
			limits.Burst = r.Burst
		}
	}
	limits.Rate = max(limits.Rate, 0)
	if limits.Burst == 0 {
		limits.Burst = int(math.Ceil(min(limits.Rate, math.MaxInt32)))
	}
	limits.Connections = max(limits.Connections, 0)
	limits.Generations = max(limits.Generations, 0)
	limits.Prompts = max(limits.Prompts, 0)
	limits.Tokens = max(limits.Tokens, 0)
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
