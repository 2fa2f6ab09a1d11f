// Command websocket serves the routes of a WebSocket API of API Gateway: $connect
// and $disconnect, sendtext and stream (or sendMessage), whose answers it posts to
// the connection as they come, and $default for everything else.
//
//   - MODEL, SYSTEM_PROMPT, MAX_TOKENS, GROUP_SIZE, GROUP_INTERVAL: the model
//   - DETACH=true has the function answer in an invocation of its own that API
//     Gateway does not wait for, so that no answer is cut off after 29 seconds
//   - CONNECTIONS_TABLE is a table of DynamoDB in which $connect notes the
//     connection of the sessionId in its URL, for the function lex
package main

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/runnelhq/runnel/internal/awsfn"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	var s awsfn.Settings
	f := &function{posts: awsfn.NewPosts(cfg), log: awsfn.NewLogger(), table: s.Text("CONNECTIONS_TABLE", "")}
	if f.table != "" {
		f.rows = dynamodb.NewFromConfig(cfg)
	}
	if s.Bool("DETACH") {
		f.self, f.name = lambdaapi.NewFromConfig(cfg), lambdacontext.FunctionName
	}
	if f.model, err = awsfn.OpenModel(&s, 1); err != nil {
		log.Fatal(err)
	}
	lambda.Start(f.handle)
}
