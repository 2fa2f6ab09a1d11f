// Command go is a handler on the official Go runtime client, as it is written for
// Lambda.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

type question struct {
	Chunks int    `json:"chunks"`
	Echo   string `json:"echo"`
	Fail   string `json:"fail"`
	Log    string `json:"log"`
}

func main() {
	if os.Getenv("_HANDLER") == "stream" {
		lambda.Start(stream)
	}
	lambda.Start(answer)
}

func answer(_ context.Context, q question) (any, error) {
	if q.Log != "" {
		fmt.Println(q.Log)
	}
	if q.Fail != "" {
		return nil, errors.New(q.Fail)
	}
	return map[string]any{"echo": q.Echo, "pid": os.Getpid()}, nil
}

// stream writes when it writes, so that a client can tell how long that took.
func stream(_ context.Context, r *events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
	var q question
	if err := json.Unmarshal([]byte(r.Body), &q); err != nil {
		return nil, err
	}
	body, w := io.Pipe()
	go func() {
		for range q.Chunks {
			fmt.Fprintf(w, "%d\n", time.Now().UnixMilli())
			time.Sleep(20 * time.Millisecond)
		}
		var err error
		if q.Fail != "" {
			err = errors.New(q.Fail)
		}
		w.CloseWithError(err)
	}()
	return &events.LambdaFunctionURLStreamingResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain", "X-Own": "yes"}, Cookies: []string{"a=b", "c=d"}, Body: body}, nil
}
