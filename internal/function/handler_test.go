package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"
)

// asHandler makes this binary a handler on the official Go runtime client.
const asHandler = "RUNNEL_TEST_HANDLER"

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) != "" {
		handle()
		return
	}
	goleak.VerifyTestMain(m)
}

func handle() {
	switch os.Getenv("_HANDLER") {
	case "never":
		select {}
	case "dies":
		fmt.Println("no start today")
		os.Exit(3)
	case "url":
		lambda.Start(streamHandler)
	case "parts":
		lambda.Start(partsHandler)
	default:
		lambda.Start(handler)
	}
}

// A question is the event of the test handler; every member makes it do something.
type question struct {
	Echo    string `json:"echo"`
	Env     string `json:"env"`
	Fail    string `json:"fail"`
	Panic   string `json:"panic"`
	Exit    int    `json:"exit"`
	Hang    bool   `json:"hang"`
	Log     string `json:"log"`
	Flood   int    `json:"flood"`  // MiB
	Memory  int    `json:"memory"` // MiB
	Child   bool   `json:"child"`  // leaves a process behind
	Large   int    `json:"large"`
	Context bool   `json:"context"`
}

var kept []byte // what the handler holds on to

func handler(ctx context.Context, q question) (any, error) {
	if q.Log != "" {
		fmt.Println(q.Log)
	}
	if q.Flood > 0 {
		line := []byte(strings.Repeat("y", 1<<10) + "\n")
		for range q.Flood << 10 {
			_, _ = os.Stderr.Write(line)
		}
		fmt.Fprint(os.Stderr, "the end without a line's end")
	}
	if q.Memory > 0 {
		debug.SetGCPercent(-1)
		kept = make([]byte, q.Memory<<20)
		for i := range kept {
			kept[i] = 1
		}
		select {}
	}
	switch {
	case q.Child:
		child := exec.Command("sleep", "60")
		if err := child.Start(); err != nil {
			return nil, err
		}
		return child.Process.Pid, nil
	case q.Fail != "":
		return nil, errors.New(q.Fail)
	case q.Panic != "":
		panic(q.Panic)
	case q.Exit > 0:
		os.Exit(q.Exit)
	case q.Hang:
		select {}
	case q.Env != "":
		return os.Getenv(q.Env), nil
	case q.Large > 0:
		return strings.Repeat("x", q.Large), nil
	case q.Context:
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "client": lc.ClientContext.Custom, "left": time.Until(deadline).Seconds(),
			"name": lambdacontext.FunctionName, "pid": os.Getpid(),
		}, nil
	}
	return q.Echo, nil
}

// streamHandler answers as a function URL does, in the parts that the body names.
func streamHandler(_ context.Context, r events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
	var q parts
	if err := json.Unmarshal([]byte(r.Body), &q); err != nil {
		return nil, err
	}
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=b", "c=d"}, Body: q.reader(),
	}, nil
}

// partsHandler streams without a head.
func partsHandler(_ context.Context, q parts) (io.Reader, error) { return q.reader(), nil }

// parts is an answer in pieces, and how it ends.
type parts struct {
	Parts []string `json:"parts"`
	Fail  string   `json:"fail"`
	Exit  bool     `json:"exit"`
	Hang  bool     `json:"hang"`
}

func (q parts) reader() io.Reader {
	r, w := io.Pipe()
	go func() {
		for _, part := range q.Parts {
			_, _ = io.WriteString(w, part)
		}
		switch {
		case q.Fail != "":
			_ = w.CloseWithError(errors.New(q.Fail))
		case q.Exit:
			time.Sleep(100 * time.Millisecond) // what was written is on its way
			os.Exit(5)
		case q.Hang:
			select {}
		default:
			_ = w.Close()
		}
	}()
	return r
}
