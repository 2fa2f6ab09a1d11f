package session

import (
	"context"

	"github.com/runnelhq/runnel"
)

// Publish implements [runnel.Sessions].
func (s *Service) Publish(context.Context, runnel.Publication) (runnel.Receipt, error) {
	return runnel.Receipt{}, runnel.Errorf(runnel.Unavailable, "publishing is not ready yet")
}
