// Package logtest is the conformance suite of [runnel.Engine]: what memlog and
// natslog must both do, so that everything tested on the first holds on the
// second. It is imported by tests only.
//
// Each case is a subtest. Most share one engine, under session ids of their own,
// because opening an engine may be costly; those that dequeue run one after the
// other, and those that crash an engine or expire its events have it for
// themselves. Nothing sleeps: a case waits for what must come, and for a short
// while for what must not. The case in model.go is random; when it fails, it says
// how to repeat it, and -rapid.checks makes it look longer.
//
// The cases are in log.go and reader.go (order, blocking, cursors), writer.go
// (fencing), crash.go and expire.go (resets and Gone), queue.go and lease.go,
// ledger.go, and model.go (random operations against a model).
package logtest
