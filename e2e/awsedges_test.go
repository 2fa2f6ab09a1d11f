package e2e_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // SQS answers with one
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// queues stand in for SNS and SQS, which have no door in Runnel: they take what SDKs
// send and call the function behind them with the events that AWS has for it.
type queues struct {
	t        *testing.T
	server   *httptest.Server
	invoke   func(event any) ([]byte, error)
	repeat   int // how often each message is delivered
	handling sync.WaitGroup

	mu     sync.Mutex
	count  int
	failed []string // what the function wants to have again
}

func startQueues(t *testing.T, invoke func(event any) ([]byte, error)) *queues {
	q := &queues{t: t, invoke: invoke, repeat: 1}
	q.server = httptest.NewServer(q)
	t.Cleanup(q.server.Close)
	return q
}

func (q *queues) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		q.t.Error(err)
		return
	}
	q.mu.Lock()
	q.count++
	id := fmt.Sprintf("5c8f0a6e-0000-4000-8000-%012d", q.count)
	q.mu.Unlock()
	signed := r.Header.Get("Authorization")
	switch target := r.Header.Get("X-Amz-Target"); {
	case target == "AmazonSQS.SendMessage" && strings.Contains(signed, "/us-east-1/sqs/aws4_request"):
		var in struct{ QueueUrl, MessageBody string } //nolint:revive // as SQS spells it
		if err := json.Unmarshal(body, &in); err != nil || in.MessageBody == "" {
			q.t.Errorf("SQS got %s: %v", body, err)
		}
		sum := md5.Sum([]byte(in.MessageBody)) //nolint:gosec // SQS answers with one
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		fmt.Fprintf(w, `{"MessageId":%q,"MD5OfMessageBody":%q}`, id, hex.EncodeToString(sum[:]))
		q.deliver(func(n int) any {
			return events.SQSEvent{Records: []events.SQSMessage{{
				MessageId: id, ReceiptHandle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", Body: in.MessageBody, Md5OfBody: hex.EncodeToString(sum[:]),
				Attributes:  map[string]string{"ApproximateReceiveCount": fmt.Sprint(n), "SentTimestamp": fmt.Sprint(time.Now().UnixMilli())},
				EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:123456789012:prompts", AWSRegion: "us-east-1",
			}}}
		})
	case strings.Contains(signed, "/us-east-1/sns/aws4_request"):
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("Action") != "Publish" || form.Get("Message") == "" {
			q.t.Errorf("SNS got %s: %v", body, err)
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>%s</MessageId></PublishResult>`+
			`<ResponseMetadata><RequestId>%[1]s</RequestId></ResponseMetadata></PublishResponse>`, id)
		topic := form.Get("TopicArn")
		q.deliver(func(int) any {
			return events.SNSEvent{Records: []events.SNSEventRecord{{
				EventVersion: "1.0", EventSource: "aws:sns", EventSubscriptionArn: topic + ":21be56ed-a058-49f5-8c98-aedd2564c486",
				SNS: events.SNSEntity{
					Type: "Notification", MessageID: id, TopicArn: topic, Message: form.Get("Message"), Timestamp: time.Now(), SignatureVersion: "1",
				},
			}}}
		})
	default:
		q.t.Errorf("a queue got %s %s, signed %s", target, body, signed)
		http.Error(w, "", http.StatusBadRequest)
	}
}

// deliver calls the function, as often as a message is delivered.
func (q *queues) deliver(event func(n int) any) {
	q.handling.Go(func() {
		for n := range q.repeat {
			result, err := q.invoke(event(n + 1))
			if err != nil {
				q.t.Errorf("the function behind a queue: %v", err)
				return
			}
			var r events.SQSEventResponse
			if err := json.Unmarshal(result, &r); err != nil {
				q.t.Errorf("the function behind a queue answered %s", result)
			}
			q.mu.Lock()
			for _, f := range r.BatchItemFailures {
				q.failed = append(q.failed, f.ItemIdentifier)
			}
			q.mu.Unlock()
		}
	})
}

// A flaw is what happens to one request on its way.
type flaw int

const (
	whole     flaw = iota
	throttled      // 429
	failing        // 503
	refusing       // 200, with an error of AppSync's that may pass
	broken         // the connection breaks before the request gets there
	deaf           // it gets there, and the answer does not come back
)

// startFlawed serves a proxy in front of addr. The nth request has the nth flaw; when
// they are over, all goes well.
func startFlawed(t *testing.T, addr string, flaws ...flaw) string {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	var mu sync.Mutex
	n := 0
	t.Cleanup(func() {
		if mu.Lock(); n < len(flaws) {
			t.Errorf("only %d requests met with a flaw", n)
		}
		mu.Unlock()
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		kind := whole
		if n < len(flaws) {
			kind = flaws[n]
		}
		n++
		mu.Unlock()
		switch kind {
		case throttled:
			w.Header().Set("X-Amzn-Errortype", "ThrottlingException")
			http.Error(w, `{"errors":[{"errorType":"ThrottlingException","message":"Rate exceeded"}]}`, http.StatusTooManyRequests)
		case failing:
			http.Error(w, "", http.StatusServiceUnavailable)
		case refusing:
			fmt.Fprint(w, `{"data":null,"errors":[{"errorType":"ThrottlingException","message":"Rate exceeded"}]}`)
		case broken:
			panic(http.ErrAbortHandler)
		case deaf:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case whole:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// invoker returns what calls a function by the Invoke API of the gateway.
func (g *gateway) invoker(ctx context.Context, name, key string) func(event any) ([]byte, error) {
	return func(event any) ([]byte, error) {
		body, err := json.Marshal(event)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url("/2015-03-31/functions/"+name+"/invocations"), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Api-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || resp.Header.Get("X-Amz-Function-Error") != "") {
			err = fmt.Errorf("status %d: %s", resp.StatusCode, answer)
		}
		return answer, err
	}
}
