// Package natslog is the durable [runnel.Engine], on NATS JetStream: inside the
// process by default, or on servers that run elsewhere.
//
// It keeps these rules:
//
//   - An event is stored and numbered before any reader sees it.
//   - A reader misses nothing and gets nothing twice. Live delivery may drop
//     messages; every message names its predecessor, so a gap shows and is
//     filled from the stream.
//   - A position that retention has passed is Gone, one that a crash has taken
//     back is a reset. Neither is ever answered with silence or with a wrong
//     continuation.
//   - Prompts, runs and owners are synced to disk before a call returns. Events are
//     not: the epoch in a cursor tells when a crash has lost some.
//
// All that JetStream does for an event is one message on the session's subject.
// It names the sequence that it expects the subject to end with, which makes
// appending a compare-and-swap, and a chain of what is stored.
//
// A reader asks the session's tail, one per node, which holds the latest events
// and is fed by this process's writers or, if others write too, by the messages
// that the stream republishes. A reader that is further behind reads the stream
// itself.
//
// The files: engine.go opens and closes; embedded.go and remote.go are the two
// kinds of server; streams.go and subject.go say what is stored where; conn.go
// and get.go speak the JetStream API. log.go, writer.go, history.go and epoch.go
// are the log, with tail.go (one session's recent events), tails.go (all of
// them) and repair.go (how they catch up after a loss). queue.go is the queue;
// ledger.go, turns.go and owner.go are the ledger; pieces.go is what others
// publish; count.go has the counters and note.go the notes. errors.go gives errors
// their kinds.
package natslog
