package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/idiom"
)

// rowKept is how long a connection is in the table; it lasts two hours at most.
const rowKept = 24 * time.Hour

// A function serves the routes.
type function struct {
	model *awsfn.Model
	posts *awsfn.Posts
	log   *slog.Logger

	rows  *dynamodb.Client
	table string

	self *lambdaapi.Client // nil: answers come while API Gateway waits
	name string
}

// An event is API Gateway's, or the one with which the function calls itself.
type event struct {
	events.APIGatewayWebsocketProxyRequest

	Detached bool `json:"detached,omitempty"`
}

// handle serves one event. What it returns for a message is not shown to anybody;
// for $connect it is the handshake's status.
func (f *function) handle(ctx context.Context, ev event) (events.APIGatewayProxyResponse, error) {
	var err error
	switch about := &ev.RequestContext; about.RouteKey {
	case "$connect":
		err = f.connect(ctx, &ev)
	case "$disconnect":
		f.log.InfoContext(ctx, "disconnected", "connection_id", about.ConnectionID)
	case "sendtext":
		err = f.message(ctx, &ev, textForm{})
	case "stream", "sendMessage":
		err = f.message(ctx, &ev, tokenForm{})
	default:
		err = f.post(ctx, &ev, idiom.AppendASCII(nil, "The action must be sendtext, stream or sendMessage."))
	}
	switch {
	case awsfn.Gone(err):
		f.log.InfoContext(ctx, "the client has left", "connection_id", ev.RequestContext.ConnectionID)
	case err != nil:
		f.log.ErrorContext(ctx, "an event could not be served", "route", ev.RequestContext.RouteKey, "connection_id", ev.RequestContext.ConnectionID, "err", err)
		return events.APIGatewayProxyResponse{StatusCode: http.StatusInternalServerError}, nil
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, nil
}

// connect notes the session's connection.
func (f *function) connect(ctx context.Context, ev *event) error {
	session := ev.QueryStringParameters["sessionId"]
	if f.rows == nil || session == "" {
		return nil
	}
	_, err := f.rows.PutItem(ctx, &dynamodb.PutItemInput{TableName: &f.table, Item: map[string]dynamotypes.AttributeValue{
		"sessionId":    &dynamotypes.AttributeValueMemberS{Value: session},
		"connectionId": &dynamotypes.AttributeValueMemberS{Value: ev.RequestContext.ConnectionID},
		"ttl":          &dynamotypes.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(rowKept).Unix(), 10)},
	}})
	return err
}

// A message is what a client says.
type message struct {
	Text   string `json:"text"`   // of sendtext
	Prompt string `json:"prompt"` // of stream; either will do
}

// A form is how an answer looks on the socket. What it returns is nil if there is
// nothing to say.
type form interface {
	text(s string) []byte
	end(err error) []byte
}

// textForm is each piece as a JSON string.
type textForm struct{}

func (textForm) text(s string) []byte { return idiom.AppendASCII(nil, s) }

func (textForm) end(err error) []byte {
	if err == nil {
		return nil
	}
	return append(idiom.AppendASCII([]byte(`{"message": `), "Internal server error"), '}')
}

// tokenForm is {"token","isComplete"}.
type tokenForm struct{}

func (tokenForm) text(s string) []byte { return append(idiom.AppendToken(nil, s, false, ""), '}') }

func (tokenForm) end(err error) []byte {
	failure := ""
	if err != nil {
		failure = runnel.PublicMessage(err)
	}
	return append(idiom.AppendToken(nil, "", true, failure), '}')
}

// message answers a client's message.
func (f *function) message(ctx context.Context, ev *event, look form) error {
	var m message
	err := json.Unmarshal([]byte(ev.Body), &m)
	if m.Text == "" {
		m.Text = m.Prompt
	}
	if err != nil || strings.TrimSpace(m.Text) == "" {
		return f.post(ctx, ev, look.end(runnel.Errorf(runnel.Invalid, "the prompt is empty")))
	}
	if f.self != nil && !ev.Detached {
		return f.detach(ctx, *ev)
	}
	err = f.model.Ask(ctx, m.Text, func(ctx context.Context, text string) error { return f.post(ctx, ev, look.text(text)) })
	if d, ok := errors.AsType[*awsfn.DeliveryError](err); ok {
		return d
	}
	if err != nil {
		f.log.WarnContext(ctx, "an answer is not complete", "connection_id", ev.RequestContext.ConnectionID, "kind", runnel.KindOf(err).String(), "err", err)
	}
	if last := look.end(err); last != nil {
		return f.post(ctx, ev, last)
	}
	return nil
}

// detach has the function answer in an invocation that nobody waits for.
func (f *function) detach(ctx context.Context, ev event) error {
	ev.Detached = true
	payload, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	_, err = f.self.Invoke(ctx, &lambdaapi.InvokeInput{FunctionName: &f.name, InvocationType: lambdatypes.InvocationTypeEvent, Payload: payload})
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
}

// post sends a message to the client.
func (f *function) post(ctx context.Context, ev *event, message []byte) error {
	about := &ev.RequestContext
	return f.posts.Send(ctx, "https://"+about.DomainName+"/"+about.Stage, about.ConnectionID, message)
}
