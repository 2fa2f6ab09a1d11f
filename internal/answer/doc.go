// Package answer follows one generation for doors whose clients can only
// append: what was sent to them cannot be taken back.
//
// When a worker dies and the next one begins again, or a crash has taken back
// what a reader had seen, the log says the answer once more from its start. A
// [Reader] compares that with what it has handed out, hands out only what is
// missing, and ends with [ErrDiverged] if the answer is another one now.
package answer
