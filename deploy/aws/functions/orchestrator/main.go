// Command orchestrator answers the prompts that the data source has queued. Events
// of SNS or SQS come in; the model's answer goes out as mutations of the AppSync
// API, from which the subscribers have it.
//
//   - APPSYNC_GRAPHQL_ENDPOINT is the API; mutations are signed, or carry
//     APPSYNC_API_KEY
//   - MODEL, SYSTEM_PROMPT, MAX_TOKENS, GROUP_SIZE, GROUP_INTERVAL: the model
//   - LEDGER_TABLE is a table of DynamoDB that remembers which messages have been
//     answered; without one, a message that is delivered twice is answered twice
package main

import (
	"context"
	"log"
	"net/http"

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
	model, err := awsfn.OpenModel(&s, 6)
	if err != nil {
		log.Fatal(err)
	}
	o := &orchestrator{
		model: model, log: awsfn.NewLogger(),
		api: awsfn.Caller{Config: cfg, Service: "appsync", APIKey: s.Text("APPSYNC_API_KEY", ""), HTTP: http.DefaultClient},
		url: s.Required("APPSYNC_GRAPHQL_ENDPOINT"),
	}
	if table := s.Text("LEDGER_TABLE", ""); table != "" {
		o.ledger = &ledger{dynamodb.NewFromConfig(cfg), table}
	}
	if err := s.Err(); err != nil {
		log.Fatal(err)
	}
	lambda.Start(o.handle)
}
