// Package eventstream writes application/vnd.amazon.eventstream messages, the
// framing of Amazon's streaming answers, for servers that speak it.
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
// Only string headers are written (type 7: length uint16, bytes): none of the
// services use another. There is no reader here; the AWS SDK brings one.
package eventstream
