// Package eventstream writes and reads application/vnd.amazon.eventstream
// messages, the framing of Amazon's streaming answers.
//
// A message on the wire is, big-endian:
//
//	total length   uint32
//	headers length uint32
//	CRC-32 (IEEE) of the eight bytes before
//	headers        each: name length uint8, name, type uint8, value
//	payload
//	CRC-32 (IEEE) of everything before
//
// Only string headers are written (type 7: length uint16, bytes), since none of
// the services use another; all types are read.
//
// The AWS SDK has a reader too. Ours is here because that one takes a stream
// that breaks off inside a message for one that has ended, shares unguarded
// state between the streams of a client, and costs three goroutines a stream.
package eventstream
