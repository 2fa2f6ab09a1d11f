package session

import "sync"

// maxRecent is how many entries each half of a [recent] has at the most.
const maxRecent = 1 << 16

// A recent remembers what is in use on this node, of what never changes. When
// young is full it becomes old, and what was old until then, and has not been
// asked for since, is forgotten.
type recent[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]V
}

// get returns what is remembered of k.
func (r *recent[K, V]) get(k K) (v V, ok bool) {
	r.mu.RLock()
	v, young := r.young[k]
	ok = young
	if !young {
		v, ok = r.old[k]
	}
	r.mu.RUnlock()
	if ok && !young {
		r.add(k, v)
	}
	return v, ok
}

// add remembers v. Neither it nor k may be a part of a request.
func (r *recent[K, V]) add(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= maxRecent {
		r.young, r.old = make(map[K]V), r.young
	}
	r.young[k] = v
}
