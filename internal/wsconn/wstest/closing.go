package wstest

import (
	"fmt"
	"strings"
)

// closings has chapter 7.
func closings() []testCase {
	bye := closing(1000, "")
	all := []testCase{
		{"7.1 a message and a close", []step{send(text("good"), bye), answer("good"), ends(1000)}},
		{"7.1 two close frames", []step{send(bye, bye), ends(1000)}},
		{"7.1 a ping behind the close", []step{send(bye, frame(fin|opPing, "x")), ends(1000)}},
		{"7.1 a message behind the close", []step{send(bye, text("late")), ends(1000)}},
		{"7.1 a close within a message", []step{send(frame(opText, "half"), bye), ends(1000)}},
		{"7.1 the rest of a message behind the close", []step{send(frame(opText, "half"), bye, frame(fin|opContinue, "x")), ends(1000)}},
		{"7.3 no code", []step{send(frame(fin|opClose, "")), ends(noStatus)}},
		{"7.3 half a code", []step{send(frame(fin|opClose, "\x03")), ends(1002)}},
		{"7.3 a code", []step{send(bye), ends(1000)}},
		{"7.3 a reason", []step{send(closing(1000, "Hello, world!")), ends(1000)}},
		{"7.3 the longest reason", []step{send(closing(1000, strings.Repeat("*", 123))), ends(1000)}},
		{"7.3 a reason that is too long", []step{send(closing(1000, strings.Repeat("*", 124))), ends(1002)}},
		{"7.5 a reason that is not UTF-8", []step{send(closing(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80")), ends(1007)}},
		{"7.6 a close frame, bytewise", []step{slowly(1, closing(1000, "bye")), ends(1000)}},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		all = append(all, testCase{fmt.Sprintf("7.7 code %d", code), []step{send(closing(code, "")), ends(code)}})
	}
	for _, code := range []int{0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 10000, 65535} {
		all = append(all,
			testCase{fmt.Sprintf("7.9 code %d", code), []step{send(closing(code, "")), ends(1002)}},
			testCase{fmt.Sprintf("7.13 code %d with a reason", code), []step{send(closing(code, "x")), ends(1002)}},
		)
	}
	return all
}

// limits has chapters 9 and 10, as far as a door has limits, and lengths that
// claim what nobody will send.
func limits(maxMessage int) []testCase {
	full := strings.Repeat("x", maxMessage)
	quarter := full[:maxMessage/4]
	pieces := [][]byte{frame(opText, quarter), frame(opContinue, quarter), frame(opContinue, quarter)}
	var small [][]byte
	for i := 0; i < maxMessage; i += 256 {
		op := byte(opContinue)
		if i == 0 {
			op = opText
		}
		small = append(small, frame(op, full[i:min(i+256, maxMessage)]))
	}
	all := []testCase{
		{"9.1 the longest message", []step{send(text(full)), answer(full)}},
		{"9.1 the longest message in pieces", []step{slowly(1301, text(full)), answer(full)}},
		{"9.1 a message that is too long", []step{send(text(full + "x")), ends(1009)}},
		{"9.3 the longest message in four fragments", []step{send(append(pieces, frame(fin|opContinue, full[3*(maxMessage/4):]))...), answer(full)}},
		{"9.3 fragments that are too long together", []step{send(append(pieces, frame(fin|opContinue, full[3*(maxMessage/4):]+"x"))...), ends(1009)}},
		{"9.3 small fragments that are too many", []step{send(append(small, frame(fin|opContinue, "x"))...), ends(1009)}},
		{"9.4 a message that is too long by far", []step{send(header(opText, 16<<20), []byte(full)), ends(1009)}},
		{"9.5 the limit holds for each message", []step{send(text(full), text("x"), text(full)), answer(full), answer("x"), answer(full)}},
	}
	for _, n := range []uint64{1 << 31, 1<<32 + 5, 1 << 40, 1 << 62, 1<<63 - 1} {
		all = append(all,
			testCase{fmt.Sprintf("10.1 text that claims %d bytes", n), []step{send(header(fin|opText, n), []byte("abc")), ends(1009)}},
			testCase{fmt.Sprintf("10.1 a fragment that claims %d bytes", n), []step{send(frame(opText, "a"), header(opContinue, n)), ends(1009)}},
			testCase{fmt.Sprintf("10.2 binary that claims %d bytes", n), []step{send(header(fin|opBinary, n)), ends(1003)}},
			testCase{fmt.Sprintf("10.3 a ping that claims %d bytes", n), []step{send(header(fin|opPing, n)), ends(1002)}},
		)
	}
	for _, n := range []uint64{1 << 63, 1<<63 + 1, 1<<64 - 1} {
		for _, first := range []byte{fin | opText, opText, fin | opBinary, fin | opPing, fin | opClose} {
			all = append(all, testCase{fmt.Sprintf("10.4 frame %x that claims %d bytes", first, n), []step{send(header(first, n), []byte("abc")), ends(1002)}})
		}
	}
	return all
}
