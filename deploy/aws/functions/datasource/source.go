package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/runnelhq/runnel/internal/awsfn"
)

// maxPrompt is what is left for a prompt of the 256 KiB that a message may have,
// if JSON needs two bytes for one.
const maxPrompt = 120 << 10

// A source queues prompts.
type source struct {
	queue func(ctx context.Context, job string) error
}

// An event is what a resolver tells. A direct one names the field in Info, those
// of the published designs beside the arguments.
type event struct {
	FieldName string    `json:"fieldName"`
	Arguments arguments `json:"arguments"`
	Variables arguments `json:"variables"` // of a resolver that tells only the arguments, and calls them so
	Info      struct {
		FieldName string `json:"fieldName"`
	} `json:"info"`
}

type arguments struct {
	Prompt string `json:"prompt"`
	Input  *struct {
		Session string `json:"sessionId"`
		Message string `json:"message"`
		Locale  string `json:"locale"`
	} `json:"input"`
}

// handle answers the field.
func (s *source) handle(ctx context.Context, ev event) (any, error) {
	field := ev.FieldName
	if field == "" {
		field = ev.Info.FieldName
	}
	args := ev.Arguments
	if args.Prompt == "" && args.Input == nil {
		args = ev.Variables
	}
	job := awsfn.Job{Field: field, Message: args.Prompt, History: []string{}}
	var answer any
	switch field {
	case awsfn.FieldGetLlmResponse:
		if args.Input == nil {
			return nil, fmt.Errorf("%s: the argument input is missing", field)
		}
		job.Session, job.Message, job.Locale = args.Input.Session, args.Input.Message, args.Input.Locale
		answer = map[string]any{
			"sessionId": job.Session, "locale": job.Locale,
			"messages": []map[string]string{{"content": "success", "contentType": "PlainText"}},
		}
	case awsfn.FieldStartStream:
		job.Session = strings.ToLower(rand.Text())
		answer = map[string]any{
			"sessionId": job.Session, "status": "streaming_started", "timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		}
	case awsfn.FieldModelSet:
		answer = true
	default:
		return nil, fmt.Errorf("no prompts are taken by the field %.80q", field)
	}
	switch {
	case strings.TrimSpace(job.Message) == "":
		return nil, fmt.Errorf("%s: the prompt is empty", field)
	case len(job.Message) > maxPrompt:
		return nil, fmt.Errorf("%s: the prompt has %d bytes; the limit is %d", field, len(job.Message), maxPrompt)
	}
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	if err := s.queue(ctx, string(text)); err != nil {
		return nil, fmt.Errorf("queue the prompt: %w", err)
	}
	return answer, nil
}
