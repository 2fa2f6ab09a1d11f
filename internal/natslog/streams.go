package natslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
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

// Streams and consumers say by which version of these settings they were made. A
// node of an older version than that leaves them as they are, so that old and
// new nodes can share them. Count it up with every change of a setting.
const (
	settingsKey     = "runnel.settings"
	settingsVersion = 1
)

// clusterReplicas is how many copies a cluster of servers keeps, if nobody says.
const clusterReplicas = 3

// streams returns what the engine needs, in the order of creation.
func (c *Config) streams(remote bool) []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{
		{
			Name:       promptStream,
			Subjects:   []string{promptPrefix + "*.*.*"},
			Retention:  jetstream.WorkQueuePolicy,
			Duplicates: dedupeAge,
			// Should an operator have limited its size: what was accepted stays,
			// and no more is.
			Discard: jetstream.DiscardNew,
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
			Discard:           jetstream.DiscardNew,
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
			Discard:           jetstream.DiscardNew,
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
		all[i].Metadata = map[string]string{settingsKey: strconv.Itoa(settingsVersion)}
	}
	return all
}

// newer reports whether a version of the settings after ours has made a thing
// with this metadata.
func newer(metadata map[string]string) bool {
	version, err := strconv.Atoi(metadata[settingsKey])
	return err == nil && version > settingsVersion
}

// prepare creates the streams and the consumer, or brings them up to date.
func (e *Engine) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	least := math.MaxInt
	for _, s := range e.config.streams(e.conn.remote) {
		err := retry(ctx, func(ctx context.Context) error {
			copies, err := e.prepareStream(ctx, s)
			if err == nil {
				least = min(least, copies)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("prepare stream %s: %w", s.Name, err)
		}
	}
	e.copies.Store(int64(least))
	return e.prepareWorkers(ctx)
}

// prepareStream creates a stream, or brings the one that there is up to date. It
// returns how many copies of it are kept.
func (e *Engine) prepareStream(ctx context.Context, want jetstream.StreamConfig) (copies int, err error) {
	stream, err := e.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		want.Replicas = e.replicas(1)
		_, err = e.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = errAgain // another node was faster
		}
		return want.Replicas, tooFewServers(err, want.Replicas)
	}
	if err != nil {
		return 0, err
	}
	have := stream.CachedInfo().Config
	if newer(have.Metadata) {
		e.log.Info("stream of a newer version is left as it is", "stream", want.Name)
		return have.Replicas, nil
	}
	next := migrated(have, want)
	next.Replicas = e.replicas(have.Replicas)
	changes := changed(have, next)
	if len(changes) == 0 {
		return next.Replicas, nil
	}
	if _, err := e.js.UpdateStream(ctx, next); err != nil {
		return 0, fmt.Errorf("change its %v: %w", changes, tooFewServers(err, next.Replicas))
	}
	e.log.Info("stream has been brought up to date", "stream", want.Name, "changed", changes)
	return next.Replicas, nil
}

// replicas returns how many copies of a stream there are to be, if it has so many.
func (e *Engine) replicas(has int) int {
	switch {
	case !e.conn.remote:
		return 1
	case e.config.Replicas > 0:
		return e.config.Replicas
	case e.conn.nc.ConnectedClusterName() != "":
		return max(has, clusterReplicas)
	}
	return max(has, 1)
}

// tooFewServers explains the failure to keep so many copies.
func tooFewServers(err error, replicas int) error {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if ok && (api.ErrorCode == codeNoPeers || api.ErrorCode == codeNotClustered) {
		return fmt.Errorf("there are not enough NATS servers with JetStream to keep %d copies; start more, or say how many with --nats-replicas: %w", replicas, err)
	}
	return err
}

// migrated returns have with the settings that are ours. Others, such as where
// its copies are placed and how large it may get, are the operator's.
func migrated(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	next := have
	next.Metadata = maps.Clone(have.Metadata)
	if next.Metadata == nil {
		next.Metadata = make(map[string]string)
	}
	maps.Copy(next.Metadata, want.Metadata)
	next.Description, next.Subjects = want.Description, want.Subjects
	next.Retention, next.Storage, next.Discard = want.Retention, want.Storage, want.Discard
	next.MaxAge = want.MaxAge
	next.MaxMsgsPerSubject = cmp.Or(want.MaxMsgsPerSubject, -1)
	next.Duplicates = cmp.Or(want.Duplicates, have.Duplicates)
	next.RePublish, next.AllowDirect, next.AllowMsgCounter = want.RePublish, want.AllowDirect, want.AllowMsgCounter
	next.PersistMode = want.PersistMode
	if want.MaxMsgs > 0 {
		next.MaxMsgs = want.MaxMsgs
	}
	return next
}

// changed returns the names of the settings in which two streams differ.
func changed(have, next jetstream.StreamConfig) (names []string) {
	a, b := reflect.ValueOf(have), reflect.ValueOf(next)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, a.Type().Field(i).Name)
		}
	}
	slices.Sort(names)
	return names
}

// retry calls f again while a cluster has no leader, or has forgotten to answer
// because another node asked for the same thing.
func retry(ctx context.Context, f func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, prepareTry)
		err := f(bounded)
		passing := bounded.Err() != nil || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, errAgain)
		cancel()
		if api, ok := errors.AsType[*jetstream.APIError](err); ok {
			passing = api.Code == http.StatusServiceUnavailable || api.ErrorCode == codeNoPeers
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
		Metadata:      map[string]string{settingsKey: strconv.Itoa(settingsVersion)},
	}
	err := retry(ctx, func(ctx context.Context) error {
		have, err := e.js.Consumer(ctx, promptStream, workers)
		if err == nil && newer(have.CachedInfo().Config.Metadata) {
			return nil
		}
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		_, err = e.js.CreateOrUpdateConsumer(ctx, promptStream, config)
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare consumer: %w", err)
	}
	return nil
}
