package memlog

import "github.com/runnelhq/runnel"

// Last returns the sequence number of the log's last event.
func (e *Engine) Last() runnel.Seq {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}
