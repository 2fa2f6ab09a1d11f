// Package function runs handlers that were written for AWS Lambda: as processes
// of this machine, behind another Invoke API, or behind a URL. Doors, authorizers
// and the model provider hand events to a [Function] and get its answer, whole
// or as it comes.
//
// A process gets a Runtime API of its own, on a loopback port, and is given one
// invocation at a time. A pool starts processes when calls wait, up to the
// function's concurrency, and ends those that nobody needs any more.
//
//   - There is one way to stop a handler: its process is killed, with all that it
//     has started. That is what becomes of it at its deadline, over its memory, and
//     when nobody waits for its answer any more. The next call gets another.
//   - A failure of the function is a [*Failure], in the words of Lambda; that we
//     could not call it is a [*runnel.Error].
//   - A process that does not start is tried again after 100 ms, doubling to 30 s;
//     in between callers are told what the last one said.
//   - An answer is read off the runtime's connection by whoever asked: no
//     goroutine and no buffer lies between a handler's write and its reader.
//   - What a process logs never holds it up and never fills our log: some lines a
//     second are passed on, the last 4 KiB of an invocation are kept.
//   - On Linux a process dies with us however we die, and its memory is looked at
//     ten times a second. Elsewhere neither is possible: a runtime ends by itself
//     when its API is gone, and the memory is a hint.
//
// Files: set.go is all functions of a node, function.go one of them. pool.go,
// process.go, runtime.go, logs.go and spawn_*.go are processes; remote.go and
// web.go the other two places. queue.go runs events that nobody waits for,
// prelude.go reads what an answer over HTTP begins with.
package function
