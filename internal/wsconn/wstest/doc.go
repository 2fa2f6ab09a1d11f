// Package wstest is a client that holds a WebSocket door to RFC 6455, case by
// case, in the order of the Autobahn suite: framing, pings, reserved bits,
// opcodes, fragmentation, UTF-8, closing, limits and hostile lengths. The real
// suite needs what cannot be had everywhere; this one needs a TCP connection.
//
// It shares no code with the server: frames are put together and taken apart
// here, byte by byte, so that it can send what no library would.
//
// Doors speak text. Where Autobahn sends binary messages these must be refused
// with 1003. Unlike Autobahn's lenient cases every answer has to be the right
// one: an ended connection without the right close frame is a failure.
//
// Files: run.go plays cases, frame.go has the bytes, the others are the cases.
package wstest
