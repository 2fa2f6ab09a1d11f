package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// kept is how long a message is remembered: SQS delivers it for up to 14 days.
const kept = 15 * 24 * time.Hour

// A ledger remembers in a table which messages have been taken up, and which are
// answered. SNS and SQS may deliver a message more than once. A nil ledger takes
// every message for a new one.
type ledger struct {
	client *dynamodb.Client
	table  string
}

// What a ledger knows of a message.
type standing int

const (
	fresh    standing = iota // now it is ours
	answered                 // it needs nothing more
	broken                   // whoever had it has not ended, and does so no more
)

// errTaken is returned for a message that another run may still be answering.
var errTaken = errors.New("another run has the message")

// begin takes up a message.
func (l *ledger) begin(ctx context.Context, id string) (standing, error) {
	if l == nil {
		return fresh, nil
	}
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(15 * time.Minute) // as long as a function may take
	}
	_, err := l.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &l.table, Item: map[string]types.AttributeValue{
			"id": text(id), "state": text("taken"), "until": number(end), "ttl": number(time.Now().Add(kept)),
		},
		ConditionExpression:                 aws.String("attribute_not_exists(id)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	taken, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	switch {
	case err == nil:
		return fresh, nil
	case !ok:
		return 0, fmt.Errorf("take up the message %s: %w", id, err)
	}
	if state, ok := taken.Item["state"].(*types.AttributeValueMemberS); ok && state.Value == "answered" {
		return answered, nil
	}
	if until, ok := taken.Item["until"].(*types.AttributeValueMemberN); ok {
		if s, err := strconv.ParseInt(until.Value, 10, 64); err == nil && time.Now().Unix() <= s {
			return 0, fmt.Errorf("message %s: %w", id, errTaken)
		}
	}
	return broken, nil
}

// end notes that a message is answered.
func (l *ledger) end(ctx context.Context, id string) error {
	if l == nil {
		return nil
	}
	_, err := l.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &l.table, Item: map[string]types.AttributeValue{"id": text(id), "state": text("answered"), "ttl": number(time.Now().Add(kept))},
	})
	if err != nil {
		return fmt.Errorf("note that the message %s is answered: %w", id, err)
	}
	return nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(t.Unix(), 10)}
}
