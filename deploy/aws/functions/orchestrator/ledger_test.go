package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/runnelhq/runnel/internal/awsfn"
)

// startTable stands in for a table of DynamoDB that has PutItem with a condition:
// Runnel's own has none.
func startTable(t *testing.T) *ledger {
	t.Helper()
	var mu sync.Mutex
	rows := map[string]json.RawMessage{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Item                json.RawMessage
			ConditionExpression string
		}
		var row struct{ ID struct{ S string } }
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = errors.Join(json.Unmarshal(body, &in), json.Unmarshal(in.Item, &row))
		}
		if err != nil || row.ID.S == "" || r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.PutItem" {
			t.Errorf("the table got %s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if old, there := rows[row.ID.S]; there && in.ConditionExpression == "attribute_not_exists(id)" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed","Item":%s}`, old)
			return
		}
		rows[row.ID.S] = in.Item
		fmt.Fprint(w, `{}`)
	}))
	t.Cleanup(server.Close)
	return &ledger{table: "ledger", client: dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})}
}

// newOrchestrator returns an orchestrator, and what tells and forgets the messages that
// it has sent.
func newOrchestrator(t *testing.T, l *ledger) (*orchestrator, func() string) {
	t.Helper()
	t.Setenv("MODEL", "echo?ttft=0s&tps=0&tokens=3")
	model, err := awsfn.OpenModel(&awsfn.Settings{}, 6)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Variables struct{ Input struct{ Message string } }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		mu.Lock()
		said = append(said, in.Variables.Input.Message)
		mu.Unlock()
		fmt.Fprint(w, `{"data":{}}`)
	}))
	t.Cleanup(api.Close)
	o := &orchestrator{
		model: model, url: api.URL, ledger: l, log: awsfn.NewLogger(),
		api: awsfn.Caller{Config: aws.Config{}, APIKey: "k", HTTP: api.Client()},
	}
	return o, func() string {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(said, "|")
		said = nil
		return all
	}
}

func prompt(id string) event {
	return event{Records: []record{{MessageID: id, Body: `{"session_id":"s","locale":"fr_CA","message":"Hi","field":"getLlmResponse"}`}}}
}

func TestLedger(t *testing.T) {
	l := startTable(t)
	o, said := newOrchestrator(t, l)
	deliver := func(ctx context.Context, id string, failures int) string {
		t.Helper()
		res, err := o.handle(ctx, prompt(id))
		if err != nil || len(res.Failures) != failures {
			t.Errorf("message %s: %+v, %v", id, res, err)
		}
		return said()
	}
	const failed = "#START_STREAM#|Désolé, je n'ai pas pu répondre à votre question.|#STREAM_ERROR#"

	if got := deliver(t.Context(), "a", 0); !strings.HasPrefix(got, "#START_STREAM#|") || !strings.HasSuffix(got, "|#END_STREAM#") {
		t.Errorf("the first time: %s", got)
	}
	if got := deliver(t.Context(), "a", 0); got != "" {
		t.Errorf("the second time: %s", got)
	}

	// Somebody who may still be at it.
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := l.begin(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if got := deliver(ctx, "b", 1); got != "" {
		t.Errorf("while another run has it: %s", got)
	}

	// Somebody whose time is over.
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Minute))
	defer cancel()
	if _, err := l.begin(expired{t.Context(), past}, "c"); err != nil {
		t.Fatal(err)
	}
	if got := deliver(t.Context(), "c", 0); got != failed {
		t.Errorf("after a run that did not end: %s", got)
	}
	if got := deliver(t.Context(), "c", 0); got != "" {
		t.Errorf("and again: %s", got)
	}
}

// An expired context has the deadline of another one, and does not end.
type expired struct {
	context.Context //nolint:containedctx // that is what it is
	of              context.Context
}

func (e expired) Deadline() (time.Time, bool) { return e.of.Deadline() }
func (e expired) Done() <-chan struct{}       { return nil }
func (e expired) Err() error                  { return nil }

// Messages that cannot be answered are left to the queue, the others are not.
func TestBatch(t *testing.T) {
	o, said := newOrchestrator(t, nil)
	ev := prompt("good")
	ev.Records = append(ev.Records, record{MessageID: "bad", Body: "?"}, record{MessageID: "odd", Body: `{"field":"dance"}`})
	res, err := o.handle(t.Context(), ev)
	if got := fmt.Sprint(res); err != nil || got != "{[{bad} {odd}]}" && got != "{[{odd} {bad}]}" {
		t.Errorf("got %s, %v", got, err)
	}
	if got := said(); !strings.HasSuffix(got, "|#END_STREAM#") {
		t.Errorf("the good one: %s", got)
	}
	// SNS has nothing but the error.
	var sns event
	if err := json.Unmarshal([]byte(`{"Records":[{"EventSource":"aws:sns","Sns":{"MessageId":"m","Message":"?"}}]}`), &sns); err != nil {
		t.Fatal(err)
	}
	if _, err := o.handle(t.Context(), sns); err == nil {
		t.Error("a message of SNS that cannot be read is no error")
	}
}
