package wsconn

// ParseClose is parseClose, whose table is checked on the wire.
func ParseClose(payload []byte) (int, string, interface{ Code() int }) {
	code, reason, err := parseClose(payload)
	if f, ok := err.(failure); ok {
		return code, reason, f
	}
	return code, reason, nil
}

// Code returns the close code.
func (f failure) Code() int { return f.code }
