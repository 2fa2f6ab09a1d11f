//go:build !linux

package function

// launch starts processes until requests is closed.
func launch(requests <-chan startRequest) {
	for r := range requests {
		r.err <- r.cmd.Start()
	}
}

func expendable(int) {}

// watchMemory does nothing: there is no telling here, and the limit is a hint to
// the handler.
func (pr *process) watchMemory() {}
