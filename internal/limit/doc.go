// Package limit bounds what each principal may ask of the gateway: requests per
// second, connections, generations at once, prompts and tokens per day, and the
// sizes of bodies, messages and prompts.
//
// Rates and connections are counted on each node by itself. What lasts is not
// kept here: the daily counts live in [runnel.Counters] that all nodes share, and
// the number of generations under way is asked of whoever keeps the queue, so
// that a crash neither forgets one nor leaves one behind that never ends.
//
// Who is counted is the principal's account: its id, or, for a caller whom nobody
// asked who it is, its address; see [ByAddress].
//
// # For a door
//
// HTTP requests are limited before a door's handler sees them, and a handler's
// request holds a connection; a stream that leaves its handler keeps it with
// [Hold]. Whatever a session's prompts are limited by is the core's business:
// Submit returns the refusal like any other error.
//
// That leaves to a door whose connections stay open to ask
//
//   - [Limiter.Connect], when it opens one in another way, and to Release it;
//   - [Limiter.Sizes] for MaxFrame, before it reads a message;
//   - [Limiter.Frame], for each message that asks for something: not for a
//     keep-alive;
//
// and to answer a refusal in its own form. Every refusal is an [*Error]: an error
// of kind Limited, with the time to wait in its RetryAfter, or of kind Invalid for
// what is too large. It also says how the principal stands, for [SetErrorHeaders]
// where there are headers. The refusal is in the audit log and the metrics
// already. All these may be called on a nil Limiter, which has no limits.
//
// Report is the only thing here that runs. Memory is bounded: of the principals
// that have no connection, the last used are remembered.
//
// Files: limit.go is the Limiter, account.go what it remembers of a principal,
// connection.go the places that are taken, prompt.go the admission of a prompt,
// daily.go the counts that outlive it, quota.go refusals and headers, trail.go
// who hears of them, address.go who is counted without a name, config.go the
// limits and whom they are for.
package limit
