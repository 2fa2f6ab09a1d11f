package wstest

import (
	"fmt"
	"strings"
)

// texts has chapter 6: what is UTF-8 and what is not, in one frame, in
// fragments that split it anywhere, and byte by byte.
func texts() []testCase {
	var all []testCase
	for i, good := range validTexts() {
		pieces := [][]byte{frame(opText, "")}
		for j := range len(good) {
			pieces = append(pieces, frame(opContinue, good[j:j+1]))
		}
		pieces = append(pieces, frame(fin|opContinue, ""))
		all = append(all,
			testCase{fmt.Sprintf("6.1 valid text %d", i+1), []step{send(text(good)), answer(good)}},
			testCase{fmt.Sprintf("6.2 valid text %d in fragments of a byte", i+1), []step{send(pieces...), answer(good)}},
			testCase{fmt.Sprintf("6.2 valid text %d, bytewise", i+1), []step{slowly(1, text(good)), answer(good)}},
		)
	}
	for i, bad := range invalidTexts() {
		half := len(bad) / 2
		all = append(all,
			testCase{fmt.Sprintf("6.3 invalid text %d", i+1), []step{send(text(bad)), ends(1007)}},
			testCase{fmt.Sprintf("6.3 invalid text %d in fragments", i+1), []step{
				send(frame(opText, bad[:half]), frame(fin|opContinue, bad[half:])), ends(1007),
			}},
			testCase{fmt.Sprintf("6.3 invalid text %d, bytewise", i+1), []step{slowly(1, text(bad)), ends(1007)}},
		)
	}
	greeting := "κόσμε"
	return append(all,
		// The rest of these messages never comes: what is wrong must be seen before.
		testCase{"6.4 fails at the fragment", []step{send(frame(opText, greeting+"\xf4\x90\x80\x80")), ends(1007)}},
		testCase{"6.4 fails in the second fragment", []step{send(frame(opText, greeting)), send(frame(opContinue, "\xf4\x90")), ends(1007)}},
		testCase{"6.4 fails in the middle of a frame", []step{send(header(fin|opText, 1000), masked(greeting+"\xed\xa0\x80")), ends(1007)}},
		testCase{"6.4 half a rune at the end", []step{send(frame(opText, greeting+"\xe2\x82"), frame(fin|opContinue, "")), ends(1007)}},
		testCase{"6.5 a rune around a ping", []step{send(frame(opText, "\xe2\x82"), frame(fin|opPing, ""), frame(fin|opContinue, "\xac")), pong(""), answer("€")}},
		testCase{"6.5 a long text, invalid at the end", []step{send(text(strings.Repeat("é", 30000) + "\xc3")), ends(1007)}},
		testCase{"6.5 a ping need not be UTF-8", []step{send(frame(fin|opPing, "\xff")), pong("\xff")}},
	)
}

func masked(payload string) []byte {
	return frame(fin|opText, payload)[len(header(fin|opText, uint64(len(payload)))):]
}

func validTexts() []string {
	return []string{
		"Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufeff", "\uffff",
		"\U00010000", "\U0010ffff", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467", strings.Repeat("\U0001f600", 200),
	}
}

func invalidTexts() []string {
	return []string{
		"κόσμε\xed\xa0\x80edited", "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80\xbf\x80\xbf", "\xc0 \xc1 ", "\xe0 \xe1 ", "\xf0 \xf1 ", "\xf8 ", "\xfc ",
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfe", "\xff", "\xfe\xfe\xff\xff",
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80",
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xe2\x82", "a\xf0\x9f\x98",
	}
}
