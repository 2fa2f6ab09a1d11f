package auth

import (
	"container/list"
	"sync"
	"time"
)

// A cache remembers the most recently used values for as long as they hold. Its
// keys are digests: it keeps nothing that could be stolen and used.
type cache[V any] struct {
	mu     sync.Mutex
	recent *list.List // of *remembered[V], most recently used first
	byKey  map[[32]byte]*list.Element
}

type remembered[V any] struct {
	key   [32]byte
	value V
	until time.Time
}

func newCache[V any]() *cache[V] {
	return &cache[V]{recent: list.New(), byKey: make(map[[32]byte]*list.Element)}
}

func (c *cache[V]) get(key [32]byte) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byKey[key]
	if !ok {
		return value, false
	}
	found := element.Value.(*remembered[V])
	if !time.Now().Before(found.until) {
		c.drop(element)
		return value, false
	}
	c.recent.MoveToFront(element)
	return found.value, true
}

func (c *cache[V]) put(key [32]byte, value V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.drop(element)
	}
	c.byKey[key] = c.recent.PushFront(&remembered[V]{key, value, until})
	if c.recent.Len() > maxRemembered {
		c.drop(c.recent.Back())
	}
}

// drop needs mu.
func (c *cache[V]) drop(element *list.Element) {
	delete(c.byKey, c.recent.Remove(element).(*remembered[V]).key)
}
