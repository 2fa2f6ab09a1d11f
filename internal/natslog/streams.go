package natslog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/runnelhq/runnel"
)

// The streams.
const (
	promptStream = "RUNNEL_PROMPTS" // accepted prompts, until their generation has ended
	logStream    = "RUNNEL_LOG"     // events, and which session a generation belongs to
	turnStream   = "RUNNEL_TURNS"   // one run per generation, which becomes its turn
	keyStream    = "RUNNEL_KEYS"    // idempotency keys
	ownerStream  = "RUNNEL_OWNERS"  // whose a session is
	connStream   = "RUNNEL_CONNECTIONS"
	pieceStream  = "RUNNEL_PUBLISHED" // pieces of answers that come from outside
	countStream  = "RUNNEL_COUNTS"    // counters
	noteStream   = "RUNNEL_NOTES"
	epochStream  = "RUNNEL_EPOCHS" // the starts of an embedded engine
)

// workers is the consumer by which prompts are leased.
const workers = "workers"

const (
	leaseTime = 2 * time.Second
	keyAge    = 24 * time.Hour
	// dedupeAge is how long a prompt that is enqueued again is recognized.
	dedupeAge = 10 * time.Minute
	// pieceAge is longer than any generation takes.
	pieceAge  = 48 * time.Hour
	maxEpochs = 1000
	countAge  = 48 * time.Hour
	// maxCounts is how many additions to a counter are kept: a start finds in
	// them the ids that are not to count again.
	maxCounts = 128
	maxNotes  = 64 << 20
	// A cluster may have to elect leaders first.
	prepareTimeout = 30 * time.Second
	prepareTry     = 2 * time.Second
)

// streams returns what the engine needs, in the order of creation.
func (c *Config) streams(remote bool) []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{
		{
			Name:       promptStream,
			Subjects:   []string{promptPrefix + "*.*.*"},
			Retention:  jetstream.WorkQueuePolicy,
			Duplicates: dedupeAge,
		},
		{
			Name:     logStream,
			Subjects: []string{logPrefix + "*", indexPrefix + "*"},
			MaxAge:   c.Retention,
		},
		{
			Name:              turnStream,
			Subjects:          []string{turnPrefix + "*.*"},
			MaxAge:            c.TurnRetention,
			MaxMsgsPerSubject: 1,
		},
		{
			Name:              keyStream,
			Subjects:          []string{keyPrefix + "*"},
			MaxAge:            keyAge,
			MaxMsgsPerSubject: 1,
		},
		{
			// Without an age limit: an owner who expired before the session's
			// last turn would leave it to whoever asks first.
			Name:              ownerStream,
			Subjects:          []string{ownerPrefix + "*"},
			MaxMsgsPerSubject: 1,
		},
		{
			// In memory: no connection outlives the servers by much, and none an
			// embedded engine at all.
			Name:              connStream,
			Subjects:          []string{connPrefix + "*.*"},
			Storage:           jetstream.MemoryStorage,
			MaxAge:            runnel.MaxConnectionAge,
			MaxMsgsPerSubject: 1,
		},
		{
			Name:       pieceStream,
			Subjects:   []string{piecePrefix + "*"},
			MaxAge:     pieceAge,
			Duplicates: dedupeAge,
			// Whoever waits for a piece is told that there is one, and reads it.
			RePublish: &jetstream.RePublish{Source: piecePrefix + ">", Destination: newPiecePrefix + ">", HeadersOnly: true},
		},
		{
			Name:              countStream,
			Subjects:          []string{countPrefix + "*"},
			MaxAge:            countAge,
			MaxMsgsPerSubject: maxCounts,
			Duplicates:        dedupeAge,
			AllowMsgCounter:   true,
		},
		{
			// In memory: doors note what users have handed them, tokens too.
			Name:              noteStream,
			Subjects:          []string{notePrefix + "*"},
			Storage:           jetstream.MemoryStorage,
			MaxAge:            runnel.NoteAge,
			MaxBytes:          maxNotes, // beyond which the oldest go
			MaxMsgsPerSubject: 1,
		},
	}
	if remote {
		// Stored first, delivered then: what a reader sees has its number. An
		// embedded engine knows of every event without being told: it stored it.
		all[1].RePublish = &jetstream.RePublish{Source: logPrefix + ">", Destination: livePrefix + ">"}
	} else {
		// Events are written behind the acknowledgement: a sync for each would
		// cost ten times as much. Epochs make up for it.
		all[1].PersistMode = jetstream.AsyncPersistMode
		all = append(all, jetstream.StreamConfig{
			Name:     epochStream,
			Subjects: []string{epochSubject},
			MaxMsgs:  maxEpochs,
		})
	}
	for i := range all {
		all[i].Description = "Runnel"
		all[i].AllowDirect = true
		if remote {
			all[i].Replicas = c.Replicas
		}
	}
	return all
}

// prepare creates the streams and the consumer, or brings them up to date.
func (e *Engine) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	for _, s := range e.config.streams(e.conn.remote) {
		err := retry(ctx, func(ctx context.Context) error {
			_, err := e.js.CreateOrUpdateStream(ctx, s)
			return err
		})
		if err != nil {
			return fmt.Errorf("prepare stream %s: %w", s.Name, err)
		}
	}
	return e.prepareWorkers(ctx)
}

// retry calls f again while a cluster has no leader, or has forgotten to answer
// because another node asked for the same thing.
func retry(ctx context.Context, f func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, prepareTry)
		err := f(bounded)
		passing := bounded.Err() != nil || errors.Is(err, nats.ErrNoResponders)
		cancel()
		if api, ok := errors.AsType[*jetstream.APIError](err); ok {
			passing = api.Code == http.StatusServiceUnavailable
		}
		if err == nil || !passing || pause(ctx, retryPause) != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				err = errNoAnswer // the deadline is ours
			}
			return err
		}
	}
}

// prepareWorkers creates the consumer of prompts.
func (e *Engine) prepareWorkers(ctx context.Context) error {
	config := jetstream.ConsumerConfig{
		Durable:       workers,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       leaseTime,
		MaxDeliver:    -1,
		MaxAckPending: e.config.MaxLeases,
		// A start voids all leases of an embedded engine, so nothing about
		// them has to be on disk, and no lease costs a sync.
		MemoryStorage: !e.conn.remote,
	}
	err := retry(ctx, func(ctx context.Context) error {
		_, err := e.js.CreateOrUpdateConsumer(ctx, promptStream, config)
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare consumer: %w", err)
	}
	return nil
}
