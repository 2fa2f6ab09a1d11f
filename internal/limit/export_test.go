package limit

import "github.com/runnelhq/runnel"

// MaxAccounts is how many principals are remembered.
const MaxAccounts = maxAccounts

// Accounts returns how many are.
func (l *Limiter) Accounts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accounts)
}

// UsedIn returns how many tokens a generation took.
func UsedIn(t *runnel.Turn) int64 { return usedIn(t) }

// Match reports whether s is of the pattern.
func Match(pattern, s string) bool { return match(pattern, s) }

// Of returns the limits of a principal.
func (c *Config) Of(p *runnel.Principal) Limits { return c.of(p) }
