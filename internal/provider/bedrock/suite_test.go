package bedrock_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/auth/bearer"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/eventstream"
	"github.com/runnelhq/runnel/internal/provider/bedrock"
	"github.com/runnelhq/runnel/internal/provider/providertest"
)

func TestConverseSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, vendor("", converseFrames))
}

func TestClaudeSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, vendor("claude", claudeFrames))
}

func TestChatSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, vendor("chat", chatFrames))
}

func BenchmarkConverse(b *testing.B) { providertest.Bench(b, vendor("", converseFrames)) }
func BenchmarkClaude(b *testing.B)   { providertest.Bench(b, vendor("claude", claudeFrames)) }

// vendor describes Bedrock with a family, or with Converse.
func vendor(family string, frames func(providertest.Answer) (content, end [][]byte)) providertest.Vendor {
	return providertest.Vendor{
		Open: func(t testing.TB, url string) runnel.Provider {
			transport := &http.Transport{MaxIdleConnsPerHost: 100}
			t.Cleanup(transport.CloseIdleConnections)
			p, err := bedrock.New(bedrock.Config{
				Model: providertest.Model, Endpoint: url, Invoke: family != "", Family: family,
				AWS: aws.Config{
					Region:               "us-east-1",
					HTTPClient:           &http.Client{Transport: transport},
					AuthSchemePreference: []string{"httpBearerAuth"},
					BearerAuthTokenProvider: bearer.TokenProviderFunc(func(context.Context) (bearer.Token, error) {
						return bearer.Token{Value: providertest.Secret}, nil
					}),
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		ContentType: eventstream.ContentType,
		Frames:      frames,
		Failure: func(detail string) []byte {
			return eventstream.AppendException(nil, "serviceUnavailableException", marshal(map[string]string{"message": detail}))
		},
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			w.Header().Set("X-Amzn-Errortype", map[int]string{
				400: "ValidationException", 401: "UnrecognizedClientException", 404: "ResourceNotFoundException",
				429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException",
			}[status]+":http://internal.amazon.com/coral/com.amazon.bedrock/")
			w.WriteHeader(status)
			_, _ = w.Write(marshal(map[string]string{"message": detail}))
		},
		Huge: func() []byte {
			frame := binary.BigEndian.AppendUint32(nil, 1<<30)
			frame = binary.BigEndian.AppendUint32(frame, 0)
			return binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
		},
		Request: "testdata/" + strings.Trim(family+"-everything", "-") + ".txt",
	}
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a test's own value
	}
	return b
}

// object is a JSON object.
type object = map[string]any

// content makes the frames of an answer's content: for each fragment, with
// those that a new block needs in front.
type content struct {
	frames  [][]byte
	pending []byte // of the next fragment
}

func (c *content) before(frame []byte) { c.pending = append(c.pending, frame...) }

func (c *content) add(frame []byte) {
	c.frames = append(c.frames, append(c.pending, frame...))
	c.pending = nil
}

func converseFrames(a providertest.Answer) (frames, end [][]byte) {
	event := func(name string, v object) []byte {
		v["p"] = "abcdef"
		return eventstream.AppendEvent(nil, name, marshal(v))
	}
	delta := func(block int, d object) []byte {
		return event("contentBlockDelta", object{"contentBlockIndex": block, "delta": d})
	}
	var c content
	c.before(event("messageStart", object{"role": "assistant"}))
	for _, s := range a.Reasoning {
		c.add(delta(0, object{"reasoningContent": object{"text": s}}))
	}
	for _, s := range a.Text {
		c.add(delta(1, object{"text": s}))
	}
	for i, call := range a.Tools {
		c.before(event("contentBlockStop", object{"contentBlockIndex": i + 1}))
		c.add(event("contentBlockStart", object{"contentBlockIndex": i + 2, "start": object{"toolUse": object{"toolUseId": call.ID, "name": call.Name}}}))
		for _, s := range call.Input {
			c.add(delta(i+2, object{"toolUse": object{"input": s}}))
		}
	}
	return c.frames, [][]byte{
		event("contentBlockStop", object{"contentBlockIndex": len(a.Tools) + 1}),
		event("messageStop", object{"stopReason": a.Stop}),
		event("metadata", object{"usage": object{"inputTokens": a.Usage.InputTokens, "outputTokens": a.Usage.OutputTokens, "totalTokens": 1}}),
	}
}

// chunk puts a model's own JSON into a frame.
func chunk(v object) []byte {
	return eventstream.AppendEvent(nil, "chunk", fmt.Appendf(nil, `{"bytes":%q,"p":"abc"}`, base64.StdEncoding.EncodeToString(marshal(v))))
}

func claudeFrames(a providertest.Answer) (frames, end [][]byte) {
	start := func(block int, b object) []byte {
		return chunk(object{"type": "content_block_start", "index": block, "content_block": b})
	}
	delta := func(block int, d object) []byte {
		return chunk(object{"type": "content_block_delta", "index": block, "delta": d})
	}
	stop := func(block int) []byte { return chunk(object{"type": "content_block_stop", "index": block}) }
	var c content
	c.before(chunk(object{"type": "message_start", "message": object{
		"model": providertest.Model, "usage": object{"input_tokens": a.Usage.InputTokens, "output_tokens": 1},
	}}))
	c.before(start(0, object{"type": "thinking", "thinking": ""}))
	for _, s := range a.Reasoning {
		c.add(delta(0, object{"type": "thinking_delta", "thinking": s}))
	}
	c.before(stop(0))
	c.before(start(1, object{"type": "text", "text": ""}))
	for _, s := range a.Text {
		c.add(delta(1, object{"type": "text_delta", "text": s}))
	}
	for i, call := range a.Tools {
		c.before(stop(i + 1))
		c.add(start(i+2, object{"type": "tool_use", "id": call.ID, "name": call.Name, "input": object{}}))
		for _, s := range call.Input {
			c.add(delta(i+2, object{"type": "input_json_delta", "partial_json": s}))
		}
	}
	return c.frames, [][]byte{
		stop(len(a.Tools) + 1),
		chunk(object{"type": "message_delta", "delta": object{"stop_reason": a.Stop}, "usage": object{"output_tokens": a.Usage.OutputTokens}}),
		chunk(object{"type": "message_stop"}),
	}
}

func chatFrames(a providertest.Answer) (frames, end [][]byte) {
	delta := func(d object) []byte {
		return chunk(object{"choices": []object{{"index": 0, "delta": d, "finish_reason": nil}}})
	}
	var c content
	for _, s := range a.Reasoning {
		c.add(delta(object{"reasoning": s}))
	}
	for _, s := range a.Text {
		c.add(delta(object{"content": s}))
	}
	for i, call := range a.Tools {
		c.add(delta(object{"tool_calls": []object{{"index": i, "id": call.ID, "function": object{"name": call.Name, "arguments": ""}}}}))
		for _, s := range call.Input {
			c.add(delta(object{"tool_calls": []object{{"index": i, "function": object{"arguments": s}}}}))
		}
	}
	reason := map[runnel.StopReason]string{runnel.EndTurn: "stop", runnel.MaxTokens: "length", runnel.ToolUse: "tool_calls"}[a.Stop]
	return c.frames, [][]byte{chunk(object{
		"choices":                          []object{{"index": 0, "delta": object{}, "finish_reason": reason}},
		"amazon-bedrock-invocationMetrics": object{"inputTokenCount": a.Usage.InputTokens, "outputTokenCount": a.Usage.OutputTokens},
	})}
}
