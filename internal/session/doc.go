// Package session is the core: it accepts prompts, runs generations and serves
// readers. It implements [runnel.Sessions] on a [runnel.Engine].
//
// What it promises, and where:
//
//   - An accepted prompt is durable, and repeating it with the same key is
//     harmless (submit.go).
//   - Whoever is over a limit is refused before anything has changed, and what
//     a prompt was counted as is settled when it has its turn (limits.go).
//   - A session belongs to the first user who uses it, and is to the others as
//     if it did not exist (authorize.go).
//   - Every prompt is worked on by whoever holds its lease; the prompts of one
//     session run one after the other (worker.go).
//   - A generation belongs to its session, not to a connection. Only Cancel and
//     the time-outs end it early (generation.go, cancel.go).
//   - The first fragment of an answer is stored at once, later ones in groups
//     (outlet.go). Before the first one a failed call is repeated and then
//     falls over to the route's next model (call.go).
//   - What an attempt has stored is what the next one goes on with, if its model
//     can; what does not stand any more is voided by a reset (seam.go).
//   - Exactly one terminal event ends a generation: the turn is committed
//     first, by compare-and-swap, the event follows from it, and a start puts
//     it back if a crash took it (finish.go, recover.go).
//   - An answer from outside is a generation whose pieces are stored first, in one
//     chain per session; a worker turns them into events as it would a model's
//     (publish.go, relay.go).
//   - A reader whose cursor a crash has made void gets a reset (reset.go).
//
// All goroutines belong to [Service.Run] and have ended when it returns.
package session
