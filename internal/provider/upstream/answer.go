package upstream

import (
	"context"
	"time"

	"github.com/runnelhq/runnel"
)

// A Decoder turns the frames of one answer into deltas.
type Decoder interface {
	// Decode appends what frame says to dst; frame is valid during the call
	// only. A delta with End set is the answer's last. An error ends the answer
	// too: a [*Failure] is what the server reported, any other means that the
	// frame could not be read.
	Decode(dst []runnel.Delta, frame []byte) ([]runnel.Delta, error)

	// Finished returns the answer's end once the model has said that it stopped,
	// though the last frame has not come; nil before that. It counts if the
	// stream ends here.
	Finished() *runnel.End
}

// lastFrames is how long a server may take, after its model has stopped, for
// the frames that follow. Some send none and leave the connection open.
const lastFrames = 2 * time.Second

// Generate posts a prompt and yields the answer, as [runnel.Provider] wants it.
func (c *Client) Generate(ctx context.Context, path string, body []byte, format Format, dec Decoder, yield func(runnel.Delta, error) bool) {
	resp, err := c.post(ctx, path, body, format.accept)
	if err != nil {
		yield(runnel.Delta{}, c.classify(ctx, err))
		return
	}
	defer resp.close()
	var deltas []runnel.Delta
	var grace *time.Timer
	for frames := format.cut(resp); ; {
		frame, err := frames.next()
		if err != nil {
			if end := dec.Finished(); end != nil && ctx.Err() == nil {
				yield(runnel.Delta{End: end}, nil)
			} else {
				yield(runnel.Delta{}, c.classify(ctx, brokenOff(err)))
			}
			return
		}
		deltas, err = dec.Decode(deltas[:0], frame)
		for _, d := range deltas {
			more := yield(d, nil)
			if d.End != nil {
				resp.done()
				return
			}
			if !more {
				return
			}
		}
		if err != nil {
			yield(runnel.Delta{}, c.classify(ctx, err))
			return
		}
		if grace == nil && dec.Finished() != nil {
			grace = resp.within(lastFrames)
			defer grace.Stop()
		}
	}
}
