// Package client asks a Runnel gateway for answers and follows its sessions.
//
//	c, err := client.New("http://127.0.0.1:8080")
//	receipt, err := c.Submit(ctx, "demo", client.Prompt{Text: "Hello"})
//	for ev, err := range c.Follow(ctx, receipt) {
//		…
//	}
//
// A stream gives every event of a session in order and exactly once, across
// lost connections and restarts of the gateway: it reconnects by itself, with
// the cursor of the last event that it gave out. When a crash of the gateway
// has taken back events that the caller has already seen, a reset says what
// holds instead; an [Answer] applies it. A stream ends with an error only when
// trying again is of no use, such as when the events have passed their
// retention.
//
// A submission is repeated under one idempotency key, so it is accepted once
// however often its acknowledgement is lost.
package client
