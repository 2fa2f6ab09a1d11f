package natslog

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
)

// Pending implements [runnel.Queue]. The subjects say it all, so no prompt is read.
func (e *Engine) Pending(ctx context.Context, limit int) ([]runnel.Run, error) {
	info, err := e.conn.info(ctx, promptStream, promptPrefix+"*.*.*", 0)
	if err != nil {
		return nil, fail(err, "pending prompts")
	}
	runs := make([]runnel.Run, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		tokens := strings.Split(strings.TrimPrefix(subject, promptPrefix), ".")
		if len(tokens) != 3 {
			continue
		}
		id, ok := untoken(tokens[0])
		gen, known := untoken(tokens[1])
		if ok && known {
			runs = append(runs, runnel.Run{Session: runnel.SessionID(id), Generation: runnel.GenerationID(gen), State: runnel.Queued})
		}
	}
	slices.SortFunc(runs, func(a, b runnel.Run) int { return cmp.Compare(a.Generation, b.Generation) })
	return runs[:min(len(runs), limit)], nil
}
