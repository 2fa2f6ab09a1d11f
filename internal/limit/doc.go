// Package limit bounds what each principal may ask of the gateway: requests per
// second, connections, generations at once, prompts and tokens per day; and how
// many connections a node holds for everybody.
//
// Rates and connections are counted on each node by itself. What lasts is not
// kept here: the daily counts live in a [Counter] that all nodes share, and the
// number of generations under way is asked of whoever keeps the queue, so that
// a crash neither forgets one nor leaves one behind that never ends.
//
// A refusal is an [*Error]: an error of kind Limited that also says how the
// principal stands, for [SetHeaders].
//
// Nothing here starts a goroutine. Memory is bounded: of the principals that
// have no connection, the last used are remembered.
//
// Files: limit.go is the Limiter, account.go what it remembers of a principal,
// daily.go the counts that outlive it, quota.go refusals and headers, config.go
// the limits and whom they are for.
package limit
