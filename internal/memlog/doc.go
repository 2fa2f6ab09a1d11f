// Package memlog is a [runnel.Engine] in memory, for tests. It keeps every
// promise of the contract but durability, and that one it can break on demand:
// [Engine.Crash] takes back what a real engine would not have synced yet, and
// [Engine.Expire] what it would no longer keep.
//
// It is built to be obviously right, not fast: one mutex guards everything, and
// no goroutine or timer outlives a call, so it works inside a testing/synctest
// bubble and leaves nothing behind. What is stored is a copy, made by the same
// encoding that natslog uses, so that a field which would not survive there does
// not survive here. Package logtest holds both engines to the same behaviour.
package memlog
