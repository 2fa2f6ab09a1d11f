package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
)

// An orchestrator answers prompts by mutations.
type orchestrator struct {
	model  *awsfn.Model
	api    awsfn.Caller
	url    string
	ledger *ledger // nil: nothing is remembered
	log    *slog.Logger
}

// An event is that of SNS or of SQS; their records differ in the names of all
// members.
type event struct {
	Records []record `json:"Records"`
}

type record struct {
	SNS struct {
		MessageID string `json:"MessageId"`
		Message   string `json:"Message"`
	} `json:"Sns"`
	MessageID string `json:"messageId"`
	Body      string `json:"body"`
}

// read returns the record's job, and how its message is called.
func (r *record) read() (id string, job awsfn.Job, err error) {
	id, text := r.MessageID, r.Body
	if id == "" {
		id, text = r.SNS.MessageID, r.SNS.Message
	}
	if err = json.Unmarshal([]byte(text), &job); err != nil {
		return id, job, fmt.Errorf("read the message %s: %w", id, err)
	}
	return id, job, nil
}

// A result tells SQS which messages to deliver again. SNS does not look at it.
type result struct {
	Failures []failure `json:"batchItemFailures"`
}

type failure struct {
	Message string `json:"itemIdentifier"`
}

// handle answers the prompts of an event, all at once. The error is for SNS, which
// delivers one message at a time, and which Lambda repeats the function for.
func (o *orchestrator) handle(ctx context.Context, ev event) (result, error) {
	res := result{Failures: []failure{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	var errs []error
	for _, r := range ev.Records {
		all.Go(func() {
			id, job, err := r.read()
			if err == nil {
				err = o.answer(ctx, id, &job)
			}
			if err == nil {
				return
			}
			o.log.ErrorContext(ctx, "a prompt could not be answered", "message_id", id, "session_id", job.Session, "err", err)
			mu.Lock()
			defer mu.Unlock()
			if r.MessageID != "" {
				res.Failures = append(res.Failures, failure{id})
			} else {
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return res, errors.Join(errs...)
}

// answer answers a prompt. A model that fails is told to whoever waits, and is no
// error; one means that nobody could be told, and that it is worth trying again.
func (o *orchestrator) answer(ctx context.Context, id string, job *awsfn.Job) error {
	s, ok := schemas()[job.Field]
	if !ok {
		return fmt.Errorf("the message %s is of the field %.80q, which takes no prompts", id, job.Field)
	}
	p := &publisher{orchestrator: o, job: job, schema: s, id: rand.Text()}
	first, err := o.ledger.begin(ctx, id)
	switch {
	case err != nil:
		return err
	case first == answered:
		o.log.InfoContext(ctx, "a message was delivered again and is answered already", "message_id", id, "session_id", job.Session)
		return nil
	case first == broken: // what was said of it cannot be taken back
		o.log.WarnContext(ctx, "an earlier run of a message did not end", "message_id", id, "session_id", job.Session)
		if err := p.finish(ctx, false); err != nil {
			return err
		}
		o.ended(ctx, id)
		return nil
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	err = o.model.Ask(ctx, job.Message, func(ctx context.Context, text string) error { return p.say(ctx, text, false) })
	if err != nil {
		o.log.WarnContext(ctx, "an answer is not complete", "message_id", id, "session_id", job.Session, "kind", runnel.KindOf(err).String(), "err", err)
	}
	if err := errors.Join(p.finish(ctx, err == nil), undelivered(err)); err != nil {
		return err
	}
	o.ended(ctx, id)
	return nil
}

// ended notes that a message needs nothing more. It has been answered, so what
// goes wrong here is no reason to deliver it again.
func (o *orchestrator) ended(ctx context.Context, id string) {
	if err := o.ledger.end(ctx, id); err != nil {
		o.log.WarnContext(ctx, "the ledger could not be written", "message_id", id, "err", err)
	}
}

// undelivered returns err if it means that a piece of an answer is missing.
func undelivered(err error) error {
	if d, ok := errors.AsType[*awsfn.DeliveryError](err); ok {
		return d
	}
	return nil
}
