package upstream

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/runnelhq/runnel"
)

// Merge adds what only a vendor knows to a request: the members of extra, an object
// or nothing, to the object body. Those that body has are not for the caller to
// say: they are limited and paid for.
func Merge(body []byte, extra json.RawMessage) ([]byte, error) {
	extra = bytes.TrimSpace(extra)
	if len(extra) == 0 {
		return body, nil
	}
	var own, more map[string]json.RawMessage
	if err := json.Unmarshal(body, &own); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(extra, &more); err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "the additional members of the request are no JSON object").Because(err)
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if own[name] != nil {
			return nil, runnel.Errorf(runnel.Invalid, "%.80q cannot be an additional member: the request has it", name)
		}
	}
	if len(more) == 0 {
		return body, nil
	}
	merged := append(body[:len(body)-1:len(body)-1], ',')
	return append(merged, extra[1:]...), nil
}
