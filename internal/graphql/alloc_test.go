//go:build !race

package graphql_test

import (
	"encoding/json"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// TestProjectionDoesNotAllocate is about the path of every token: an event made
// in place, a filter, a projection. The race detector's pools forget things.
func TestProjectionDoesNotAllocate(t *testing.T) {
	s := load(t, reference)
	sub := subscribe(t, s, apiKey, onSendMessage, `{"sessionId":"s"}`)
	members := []graphql.Member{
		{Name: "sessionId", Value: graphql.String("s")}, {Name: "message", Value: graphql.String("")},
		{Name: "locale", Value: graphql.String("en_US")}, {Name: "timeStamp", Value: graphql.String("2025-01-02T03:04:06.001Z")},
	}
	payload := make([]byte, 0, 1024)
	texts := []string{"Hello", " wörld\n"}
	got := testing.AllocsPerRun(1000, func() {
		for _, text := range texts {
			members[1].Value = graphql.String(text)
			event := graphql.Object(members...)
			if !sub.Filter.Match(event) {
				t.Fatal("the filter holds it back")
			}
			payload = sub.Plan.AppendPayload(payload[:0], event)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for two events", got)
	}
	if !json.Valid(payload) {
		t.Errorf("not JSON: %s", payload)
	}
}
