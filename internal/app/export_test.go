package app

import (
	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/obs"
)

// Engine returns what a node that has started keeps everything in.
func (a *App) Engine() runnel.Engine { return a.engine }

// DoorNames returns the names of the doors of a node that has started. It makes
// doors that nobody uses, which must not be counted with the others.
func (a *App) DoorNames() []string {
	metrics := a.metrics
	defer func() { a.metrics = metrics }()
	a.metrics = obs.NewMetrics()
	var names []string
	for _, d := range a.doors() {
		names = append(names, d.Name)
	}
	return names
}
