package appsync_test

import (
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/transport/appsync"
)

// The first design: a query hands in the message, a subscription shows the answer.
func TestReferenceFlow(t *testing.T) {
	t.Parallel()
	m := make(model)
	r := start(t, m, appsync.Config{API: gqlapi.API{GroupInterval: time.Minute}})
	c := r.connect(t)
	c.start(uuid, onSendMessage, `{"sessionId":"s"}`)
	c.expect(`{"type":"start_ack","id":"` + uuid + `"}`)
	r.ask(t, getResponse, `{"locale":"en_US","message":"hi","sessionId":"s","history":[]}`).
		want(200, `{"data":{"getLlmResponse":{"messages":[{"content":"success","contentType":"PlainText"}],"locale":"en_US","sessionId":"s"}}}`)
	r.tell(t, m, "s", "one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine")
	close(m)
	c.expect(
		message(uuid, "s", "#START_STREAM#"),
		message(uuid, "s", "one "),
		message(uuid, "s", "two three four five six seven "),
		message(uuid, "s", "eight nine"),
		message(uuid, "s", "#END_STREAM#"),
	)
	c.send(`{"id":"` + uuid + `","type":"stop"}`)
	c.expect(`{"type":"complete","id":"` + uuid + `"}`)
}
