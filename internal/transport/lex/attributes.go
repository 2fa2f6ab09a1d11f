package lex

import (
	"container/list"
	"sync"
	"time"
)

const (
	// attributesLife is how long a quiet session's attributes are kept.
	attributesLife = time.Hour
	// maxAttributes bounds what is kept of all sessions, in bytes.
	maxAttributes = 64 << 20
	// entrySize is about what an entry takes besides its texts.
	entrySize = 256
)

// attributes keeps the attributes of sessions. Its methods may be called
// concurrently.
type attributes struct {
	now func() time.Time

	mu     sync.Mutex
	size   int
	recent *list.List // of *entry, the last used first
	byKey  map[key]*list.Element
}

// A key names a session of a caller: what one has set, another does not see.
type key struct{ caller, bot, session string }

type entry struct {
	key    key
	values map[string]string
	size   int
	until  time.Time
}

func newAttributes(now func() time.Time) *attributes {
	return &attributes{now: now, recent: list.New(), byKey: map[key]*list.Element{}}
}

// get returns a session's attributes, which nobody may change; nil if there are none.
func (a *attributes) get(k key) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	element := a.byKey[k]
	if element == nil {
		return nil
	}
	e := element.Value.(*entry)
	if !a.now().Before(e.until) {
		a.drop(element)
		return nil
	}
	return e.values
}

// put keeps a session's attributes in place of what there was.
func (a *attributes) put(k key, values map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if element := a.byKey[k]; element != nil {
		a.drop(element)
	}
	e := &entry{key: k, values: values, size: entrySize + len(k.caller) + len(k.bot) + len(k.session), until: a.now().Add(attributesLife)}
	for name, value := range values {
		e.size += len(name) + len(value)
	}
	a.byKey[k] = a.recent.PushFront(e)
	a.size += e.size
	for a.size > maxAttributes {
		a.drop(a.recent.Back())
	}
}

// forget drops a session's attributes.
func (a *attributes) forget(k key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if element := a.byKey[k]; element != nil {
		a.drop(element)
	}
}

// drop needs mu.
func (a *attributes) drop(element *list.Element) {
	e := a.recent.Remove(element).(*entry)
	a.size -= e.size
	delete(a.byKey, e.key)
}
