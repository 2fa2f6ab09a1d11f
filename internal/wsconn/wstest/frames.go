package wstest

import (
	"fmt"
	"slices"
	"strings"
)

// framing has Autobahn's chapter 1, and masks.
func framing() []testCase {
	var all []testCase
	for _, n := range []int{0, 1, 125, 126, 127, 128, 255, 256, 257, 4095, 4096, 4097, 65535, 65536} {
		payload := strings.Repeat("*", n)
		all = append(all,
			testCase{fmt.Sprintf("1.1 text of %d bytes", n), []step{send(text(payload)), answer(payload)}},
			testCase{fmt.Sprintf("1.2 binary of %d bytes", n), []step{send(frame(fin|opBinary, payload)), ends(1003)}})
	}
	for _, piece := range []int{1, 7, 997} {
		payload := strings.Repeat("é", 2000)
		all = append(all, testCase{fmt.Sprintf("1.1 text in pieces of %d bytes", piece), []step{slowly(piece, text(payload)), answer(payload)}})
	}
	unmasked := func(first byte, payload string) []byte {
		return append([]byte{first, byte(len(payload))}, payload...)
	}
	wasteful := append([]byte{fin | opText, 0x80 | 126, 0, 2}, mask[:]...)
	return append(all,
		testCase{"1.3 many messages at once", []step{send(text("a"), text("b"), text("c")), answer("a"), answer("b"), answer("c")}},
		testCase{"1.3 a mask of zeros", []step{send([]byte{fin | opText, 0x82, 0, 0, 0, 0, 'h', 'i'}), answer("hi")}},
		testCase{"1.3 text without a mask", []step{send(unmasked(fin|opText, "hi")), ends(1002)}},
		testCase{"1.3 a ping without a mask", []step{send(unmasked(fin|opPing, "hi")), ends(1002)}},
		testCase{"1.3 a close frame without a mask", []step{send(unmasked(fin|opClose, "\x03\xe8")), ends(1002)}},
		testCase{"1.3 a length that is longer than it need be", []step{send(wasteful, []byte{'h' ^ mask[0], 'i' ^ mask[1]}), answer("hi")}},
	)
}

// pings has chapter 2.
func pings() []testCase {
	ping := func(payload string) []byte { return frame(fin|opPing, payload) }
	full := strings.Repeat("\xfe", 125)
	ten := testCase{"2.10 ten pings", nil}
	tenSlow := testCase{"2.11 ten pings in pieces", nil}
	var at []byte
	var pongs []step
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		at = append(at, ping(payload)...)
		pongs = append(pongs, pong(payload))
	}
	ten.steps = append([]step{send(at)}, pongs...)
	tenSlow.steps = append([]step{slowly(1, at)}, pongs...)
	return []testCase{
		{"2.1 an empty ping", []step{send(ping("")), pong("")}},
		{"2.2 a ping with text", []step{send(ping("Hello, world!")), pong("Hello, world!")}},
		{"2.3 a ping with bytes", []step{send(ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")), pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}},
		{"2.4 a full ping", []step{send(ping(full)), pong(full)}},
		{"2.5 a ping that is too long", []step{send(ping(full + "\xfe")), ends(1002)}},
		{"2.6 a full ping in pieces", []step{slowly(1, ping(full)), pong(full)}},
		{"2.7 a pong that nobody asked for", []step{send(frame(fin|opPong, ""))}},
		{"2.8 the same with a payload", []step{send(frame(fin|opPong, "unsolicited"))}},
		{"2.9 a pong and a ping", []step{send(frame(fin|opPong, "unsolicited"), ping("x")), pong("x")}},
		{"2.12 a pong that is too long", []step{send(frame(fin|opPong, full+"x")), ends(1002)}},
		ten, tenSlow,
	}
}

// reserved has chapters 3 and 4: bits and opcodes without a meaning.
func reserved() []testCase {
	var all []testCase
	for i, bits := range []byte{rsv1, rsv2, rsv1 | rsv2, rsv3, rsv3 | rsv1, rsv3 | rsv2, rsv3 | rsv2 | rsv1} {
		bad := frame(fin|bits|opText, "bad")
		all = append(all,
			testCase{fmt.Sprintf("3.1 reserved bits %d", i+1), []step{send(bad), ends(1002)}},
			testCase{fmt.Sprintf("3.2 reserved bits %d behind a message", i+1), []step{send(text("good"), bad, frame(fin|opPing, "x")), answer("good"), ends(1002)}},
			testCase{fmt.Sprintf("3.3 reserved bits %d, bytewise", i+1), []step{slowly(1, text("good"), bad), answer("good"), ends(1002)}},
		)
	}
	for _, op := range []byte{opPing, opPong, opClose, opBinary, opContinue} {
		all = append(all, testCase{fmt.Sprintf("3.4 a reserved bit with opcode %x", op), []step{send(frame(fin|rsv1|op, "")), ends(1002)}})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		all = append(all,
			testCase{fmt.Sprintf("4.1 opcode %x", op), []step{send(frame(fin|op, "")), ends(1002)}},
			testCase{fmt.Sprintf("4.2 opcode %x with a payload", op), []step{send(frame(fin|op, "reserved")), ends(1002)}},
			testCase{fmt.Sprintf("4.3 opcode %x behind a message", op), []step{send(text("good"), frame(fin|op, "x")), answer("good"), ends(1002)}},
		)
	}
	return all
}

// fragments has chapter 5.
func fragments() []testCase {
	first, more, last := opText, opContinue, fin|opContinue
	ping := frame(fin|opPing, "ping")
	whole := [][]byte{frame(byte(first), "one "), frame(byte(more), "two "), frame(byte(last), "three")}
	withPings := slices.Concat(whole[0], ping, whole[1], ping, whole[2])
	var many, empty [][]byte
	for i := range 100 {
		op := byte(more)
		if i == 0 {
			op = byte(first)
		}
		many = append(many, frame(op, "x"))
		empty = append(empty, frame(op, ""))
	}
	return []testCase{
		{"5.1 a ping in fragments", []step{send(frame(opPing, "a"), frame(byte(last), "b")), ends(1002)}},
		{"5.2 a pong in fragments", []step{send(frame(opPong, "a"), frame(byte(last), "b")), ends(1002)}},
		{"5.2 a close frame in fragments", []step{send(frame(opClose, ""), frame(byte(last), "")), ends(1002)}},
		{"5.3 a text in fragments", []step{send(whole...), answer("one two three")}},
		{"5.4 the same, each sent for itself", []step{send(whole[0]), send(whole[1]), send(whole[2]), answer("one two three")}},
		{"5.5 the same, bytewise", []step{slowly(1, whole...), answer("one two three")}},
		{"5.6 pings in between", []step{send(withPings), pong("ping"), pong("ping"), answer("one two three")}},
		{"5.7 pings in between, each for itself", []step{send(whole[0]), send(ping), pong("ping"), send(whole[1], whole[2]), answer("one two three")}},
		{"5.8 pings in between, bytewise", []step{slowly(1, withPings), pong("ping"), pong("ping"), answer("one two three")}},
		{"5.9 a last fragment without a first", []step{send(frame(byte(last), "x"), text("y")), ends(1002)}},
		{"5.10 the same behind a message", []step{send(text("good"), frame(byte(last), "x")), answer("good"), ends(1002)}},
		{"5.11 the same, bytewise", []step{slowly(1, frame(byte(last), "x")), ends(1002)}},
		{"5.12 a fragment without a first", []step{send(frame(byte(more), "x"), text("y")), ends(1002)}},
		{"5.13 the same behind a message", []step{send(text("good"), frame(byte(more), "x")), answer("good"), ends(1002)}},
		{"5.14 the same, bytewise", []step{slowly(1, frame(byte(more), "x")), ends(1002)}},
		{"5.15 a fragment behind the last", []step{send(slices.Concat(whole...), frame(byte(last), "x")), answer("one two three"), ends(1002)}},
		{"5.16 a message within another", []step{send(whole[0], text("x")), ends(1002)}},
		{"5.17 a message begun within another", []step{send(whole[0], whole[0]), ends(1002)}},
		{"5.18 a binary message within a text", []step{send(whole[0], frame(fin|opBinary, "x")), ends(1002)}},
		{"5.19 pings with a pause", []step{send(whole[0], ping), pong("ping"), send(whole[1], ping), pong("ping"), send(whole[2]), answer("one two three")}},
		{"5.20 a hundred fragments", []step{send(append(many, frame(byte(last), ""))...), answer(strings.Repeat("x", 100))}},
		{"5.21 fragments of nothing", []step{send(append(empty, frame(byte(last), ""))...), answer("")}},
		{"5.22 binary in fragments", []step{send(frame(opBinary, "x"), frame(byte(last), "y")), ends(1003)}},
	}
}
