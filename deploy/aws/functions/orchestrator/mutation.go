package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/idiom"
)

// A schema is how one of the published designs has an answer.
type schema struct {
	mutation  string
	variables func(job *awsfn.Job, text string, done bool) map[string]any
	markers   bool // messages that begin and end the answer
	end       bool // an empty message with done ends it
}

// schemas returns the designs by the field that takes their prompts.
func schemas() map[string]schema {
	return map[string]schema{
		awsfn.FieldGetLlmResponse: {
			mutation: `mutation SendMessage($input: SendMessageInput!) { sendMessage(input: $input) { locale message sessionId timeStamp } }`,
			variables: func(job *awsfn.Job, text string, _ bool) map[string]any {
				return map[string]any{"input": map[string]string{"sessionId": job.Session, "message": text, "locale": job.Locale}}
			},
			markers: true,
		},
		awsfn.FieldModelSet: {
			mutation:  `mutation SendChunk($chunk: String!) { sendChunk(chunk: $chunk) }`,
			variables: func(_ *awsfn.Job, text string, _ bool) map[string]any { return map[string]any{"chunk": text} },
		},
		awsfn.FieldStartStream: {
			mutation: `mutation PublishToken($sessionId: String!, $token: String!, $isComplete: Boolean!) {
  publishToken(sessionId: $sessionId, token: $token, isComplete: $isComplete) { sessionId token isComplete timestamp }
}`,
			variables: func(job *awsfn.Job, text string, done bool) map[string]any {
				return map[string]any{"sessionId": job.Session, "token": text, "isComplete": done}
			},
			end: true,
		},
	}
}

// A publisher says one answer, a mutation at a time. It is used by one goroutine
// at a time.
type publisher struct {
	*orchestrator
	job    *awsfn.Job
	schema schema
	id     string // of this run of the job
	sent   int
}

// say publishes a text.
func (p *publisher) say(ctx context.Context, text string, done bool) error {
	body, err := json.Marshal(map[string]any{"query": p.schema.mutation, "variables": p.schema.variables(p.job, text, done)})
	if err != nil {
		return err
	}
	p.sent++
	return p.api.Post(ctx, p.url, "application/json", fmt.Sprintf("%s-%d", p.id, p.sent), body, refused)
}

// start begins the answer.
func (p *publisher) start(ctx context.Context) error {
	if !p.schema.markers {
		return nil
	}
	return p.say(ctx, idiom.MarkerStart, false)
}

// finish ends an answer that is complete, or not.
func (p *publisher) finish(ctx context.Context, complete bool) error {
	switch {
	case p.schema.end:
		return p.say(ctx, "", true)
	case !p.schema.markers:
		return nil
	case complete:
		return p.say(ctx, idiom.MarkerEnd, false)
	}
	if p.sent == 0 {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	if err := p.say(ctx, idiom.ErrorSentence(p.job.Locale), false); err != nil {
		return err
	}
	return p.say(ctx, idiom.MarkerError, false)
}

// refused returns the error that AppSync answers with 200, if it does.
func refused(answer []byte) error {
	var a struct {
		Errors []struct {
			Type    string `json:"errorType"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("read the answer of a mutation: %w", err)
	}
	if len(a.Errors) == 0 {
		return nil
	}
	r := &awsfn.Refusal{Status: 200, Type: a.Errors[0].Type, Body: a.Errors[0].Message}
	for _, word := range []string{"Throttl", "Limit", "Unavailable", "Internal", "Timeout"} {
		if strings.Contains(r.Type, word) {
			r.Status = 503 // it may pass
		}
	}
	return r
}
