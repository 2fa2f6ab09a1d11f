// Command datasource is the data source of the fields of an AppSync API that take
// prompts. It queues the prompt, in a topic of SNS or a queue of SQS, and answers at
// once; the orchestrator's answer comes to the subscribers.
//
// It takes the event of a direct Lambda resolver, and that of the published
// designs' resolvers. TOPIC_ARN or QUEUE_URL says where prompts go.
package main

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	queue, err := openQueue(cfg)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start((&source{queue}).handle)
}

// openQueue returns what hands a job on.
func openQueue(cfg aws.Config) (func(ctx context.Context, job string) error, error) {
	var s awsfn.Settings
	topic, queue := s.Text("TOPIC_ARN", ""), s.Text("QUEUE_URL", "")
	switch {
	case topic != "" && queue != "":
		return nil, runnel.Errorf(runnel.Invalid, "TOPIC_ARN and QUEUE_URL are two places for one prompt")
	case topic != "":
		client := sns.NewFromConfig(cfg)
		return func(ctx context.Context, job string) error {
			_, err := client.Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: &job})
			return err
		}, nil
	}
	queue = s.Required("QUEUE_URL")
	client := sqs.NewFromConfig(cfg)
	return func(ctx context.Context, job string) error {
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &job})
		return err
	}, s.Err()
}
