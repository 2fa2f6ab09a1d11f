package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
)

// Ask a question and print the answer as it comes, whatever happens to the
// connection and the gateway meanwhile.
func Example() {
	ctx := context.Background()
	c, err := client.New("http://127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := c.Submit(ctx, "demo", client.Prompt{Text: "Why is the sky blue?"})
	if err != nil {
		log.Fatal(err)
	}
	for ev, err := range c.Follow(ctx, receipt) {
		switch {
		case err != nil:
			log.Fatal(err)
		case ev.Type == runnel.EventDelta:
			fmt.Print(ev.Text)
		case ev.Type == runnel.EventFailed:
			log.Fatal(ev.Failure.Message)
		}
	}
}

// Follow everything that happens in a session, and keep the position, so that
// the next run goes on where this one ended.
func ExampleClient_Stream() {
	c, err := client.New("http://127.0.0.1:8080", client.WithNotify(func(err error, wait time.Duration) {
		if err != nil {
			log.Printf("%v; trying again in %v", err, wait)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	var saved runnel.Cursor // the zero cursor is the oldest event that is kept
	for ev, err := range c.Stream(context.Background(), "demo", saved) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Type, string(ev.Body))
		if !ev.Cursor.IsZero() {
			saved = ev.Cursor
		}
	}
}

// An Answer keeps the truth about one generation, also when a crash of the
// gateway makes it begin anew.
func ExampleAnswer() {
	var a client.Answer
	for _, ev := range []runnel.Event{
		{Type: runnel.EventStarted, Attempt: 1, Model: "echo"},
		{Type: runnel.EventDelta, Attempt: 1, Text: "Hello wor"},
		{Type: runnel.EventReset, Attempt: 1, Text: "Hello"}, // a crash took the rest back
		{Type: runnel.EventDelta, Attempt: 1, Text: ", world"},
		{Type: runnel.EventDone, Attempt: 1, StopReason: runnel.EndTurn},
	} {
		a.Apply(ev)
	}
	fmt.Println(a.Text(), a.State)
	// Output: Hello, world done
}
