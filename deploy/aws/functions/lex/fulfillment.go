package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/idiom"
)

// patience is how long a piece may take to its client: the final message waits for
// it, and Lex for that no longer than 30 seconds.
const patience = 2 * time.Second

// A fulfillment answers what Lex has heard.
type fulfillment struct {
	model    *awsfn.Model
	rows     *dynamodb.Client
	table    string
	posts    *awsfn.Posts
	endpoint string
	log      *slog.Logger
}

// An event is what Lex tells. What it has of an intent goes back as it is, but for
// the state.
type event struct {
	Session    string         `json:"sessionId"`
	Transcript string         `json:"inputTranscript"`
	Attributes map[string]any `json:"requestAttributes"`
	Bot        struct {
		Locale string `json:"localeId"`
	} `json:"bot"`
	State struct {
		Attributes map[string]string `json:"sessionAttributes"`
		Intent     map[string]any    `json:"intent"`
	} `json:"sessionState"`
}

type answer struct {
	State struct {
		Attributes map[string]string `json:"sessionAttributes"` // never null: the UI reads it
		Action     struct {
			Type string `json:"type"`
		} `json:"dialogAction"`
		Intent map[string]any `json:"intent"`
	} `json:"sessionState"`
	Messages   []message      `json:"messages"`
	Attributes map[string]any `json:"requestAttributes,omitempty"`
}

type message struct {
	Type    string `json:"contentType"`
	Content string `json:"content"`
}

// handle answers a text.
func (f *fulfillment) handle(ctx context.Context, ev event) (*answer, error) {
	connection := f.connection(ctx, &ev)
	var whole strings.Builder
	err := f.model.Ask(ctx, ev.Transcript, func(ctx context.Context, text string) error {
		whole.WriteString(text)
		connection = f.stream(ctx, connection, text)
		return nil
	})
	if err == nil {
		// The UI holds the newest piece back; this one has nothing to show.
		f.stream(ctx, connection, " ")
	}

	out := &answer{Attributes: ev.Attributes}
	out.State.Attributes = ev.State.Attributes
	if out.State.Attributes == nil {
		out.State.Attributes = map[string]string{}
	}
	out.State.Action.Type = "Close"
	if out.State.Intent = ev.State.Intent; out.State.Intent == nil {
		out.State.Intent = map[string]any{"name": "FallbackIntent"}
	}
	out.State.Intent["state"] = "Fulfilled"
	if whole.Len() > 0 {
		out.Messages = append(out.Messages, message{"CustomPayload", whole.String()}) // shown as Markdown
	}
	if err != nil {
		f.log.WarnContext(ctx, "an answer is not complete", "session_id", ev.Session, "kind", runnel.KindOf(err).String(), "err", err)
		out.State.Intent["state"] = "Failed"
		out.Messages = append(out.Messages, message{"PlainText", idiom.ErrorSentence(ev.Bot.Locale)})
	}
	return out, nil
}

// connection returns the session's WebSocket; nothing if there is none, or its client
// does not want to be streamed to.
func (f *fulfillment) connection(ctx context.Context, ev *event) string {
	if f.table == "" || f.endpoint == "" || ev.State.Attributes["streamingEndpoint"] == "" {
		return ""
	}
	row, err := f.rows.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &f.table, Key: map[string]types.AttributeValue{"sessionId": &types.AttributeValueMemberS{Value: ev.Session}},
	})
	if err != nil {
		f.log.WarnContext(ctx, "the connection could not be looked up", "session_id", ev.Session, "err", err)
		return ""
	}
	id, ok := row.Item["connectionId"].(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return id.Value
}

// stream sends a piece to the connection and returns where the next one goes: nowhere
// if this one could not be sent. The final message has it all in any case.
func (f *fulfillment) stream(ctx context.Context, connection, text string) string {
	if connection == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := f.posts.Send(ctx, f.endpoint, connection, []byte(text))
	if err == nil {
		return connection
	}
	if !awsfn.Gone(err) && !errors.Is(err, context.Canceled) {
		f.log.WarnContext(ctx, "a piece of an answer could not be streamed", "connection_id", connection, "err", err)
	}
	return ""
}
