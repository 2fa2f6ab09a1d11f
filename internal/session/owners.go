package session

import (
	"strings"
	"sync"

	"github.com/runnelhq/runnel"
)

// maxOwners is how many entries each half of [owners] has at the most.
const maxOwners = 1 << 16

// owners remembers whose sessions are, of those that are in use on this node.
// An owner never changes, so an entry never goes stale. When young is full it
// becomes old, and what was old until then, and has not been asked for since, is
// forgotten.
type owners struct {
	mu         sync.RWMutex
	young, old map[runnel.SessionID]string
}

// known reports whether the session is known to be owner's. False means
// nothing.
func (o *owners) known(id runnel.SessionID, owner string) bool {
	o.mu.RLock()
	known, young := o.young[id]
	if !young {
		known = o.old[id]
	}
	o.mu.RUnlock()
	if known != owner {
		return false
	}
	if !young {
		o.add(id, owner)
	}
	return true
}

// add remembers the owner of a session.
func (o *owners) add(id runnel.SessionID, owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.young == nil || len(o.young) >= maxOwners {
		o.young, o.old = make(map[runnel.SessionID]string), o.young
	}
	// The id may be a part of a request, which the copy lets go.
	o.young[runnel.SessionID(strings.Clone(string(id)))] = owner
}
