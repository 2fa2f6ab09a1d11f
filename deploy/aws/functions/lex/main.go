// Command lex is the fulfillment of a bot of Lex V2. It streams the answer as bare
// text to the session's WebSocket, and returns all of it as the final message.
//
//   - MODEL, SYSTEM_PROMPT, MAX_TOKENS, GROUP_SIZE, GROUP_INTERVAL: the model
//   - CONNECTIONS_TABLE, STREAMING_ENDPOINT: where sessions' connections are noted,
//     and the https:// URL of their stage; without them nothing is streamed
//
// The Lex Web UI names a table and an endpoint in the session's attributes. They
// come from the browser: they say that it wants to be streamed to, and where to is
// said here.
package main

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/runnelhq/runnel/internal/awsfn"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	var s awsfn.Settings
	f := &fulfillment{
		rows: dynamodb.NewFromConfig(cfg), table: s.Text("CONNECTIONS_TABLE", ""),
		posts: awsfn.NewPosts(cfg), endpoint: s.Text("STREAMING_ENDPOINT", ""), log: awsfn.NewLogger(),
	}
	if f.model, err = awsfn.OpenModel(&s, 1); err != nil {
		log.Fatal(err)
	}
	lambda.Start(f.handle)
}
