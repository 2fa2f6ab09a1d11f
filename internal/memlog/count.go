package memlog

import "context"

// A count is a counter, with the ids that have counted.
type count struct {
	total int64
	ids   map[string]bool
}

// Count implements [runnel.Counters]. Here an id is remembered for ever.
func (e *Engine) Count(ctx context.Context, key, id string, n int64) (int64, error) {
	if err := e.lock(ctx); err != nil {
		return 0, err
	}
	defer e.mu.Unlock()
	c := e.counts[key]
	if c == nil {
		c = &count{ids: make(map[string]bool)}
		e.counts[key] = c
	}
	if n != 0 && !c.ids[id] {
		c.ids[id] = true
		c.total += n
	}
	return c.total, nil
}
