package idiom

import "strconv"

const hexDigits = "0123456789abcdef"

// AppendASCII appends s as a JSON string, byte for byte as Python's json.dumps
// writes it: with everything beyond printable ASCII escaped, which clients in
// the field compare and count on, and nothing for the sake of HTML.
func AppendASCII(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ' && r <= '~':
			dst = append(dst, byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r > 0xffff:
			r -= 0x10000
			dst = appendUnit(dst, 0xd800+r>>10)
			dst = appendUnit(dst, 0xdc00+r&0x3ff)
		default:
			dst = appendUnit(dst, r)
		}
	}
	return append(dst, '"')
}

// appendUnit appends the escape of a UTF-16 unit.
func appendUnit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// AppendToken appends the message {"token","isComplete"}, with Python's spaces,
// and with "error" if the answer has failed. Its last brace is left to the caller,
// who may have more to say.
func AppendToken(dst []byte, token string, complete bool, failure string) []byte {
	dst = append(dst, `{"token": `...)
	dst = AppendASCII(dst, token)
	dst = append(dst, `, "isComplete": `...)
	dst = strconv.AppendBool(dst, complete)
	if failure != "" {
		dst = append(dst, `, "error": `...)
		dst = AppendASCII(dst, failure)
	}
	return dst
}
