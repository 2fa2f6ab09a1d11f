package runnel

import (
	"strconv"
	"strings"
)

// A Seq numbers the events of a log. Within one session they rise, not
// necessarily by one.
type Seq uint64

// A Cursor is the position of the last event that a reader has seen; reading
// starts just after it. The zero value lies before the first event that is
// kept. On the wire it is an opaque string.
type Cursor struct {
	// Epoch names the stretch of a log's life in which Seq was given out. A
	// crash may take back unsynced events and give their numbers out again;
	// the epoch is what tells the two apart.
	Epoch string
	Seq   Seq
}

const maxEpoch = 32

// String returns the cursor's wire form: epoch, a hyphen, and the sequence in
// decimal. The zero cursor is "0".
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return "0"
	}
	return string(c.Append(make([]byte, 0, len(c.Epoch)+21)))
}

// Append appends the wire form to dst.
func (c Cursor) Append(dst []byte) []byte {
	if c == (Cursor{}) {
		return append(dst, '0')
	}
	dst = append(dst, c.Epoch...)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, uint64(c.Seq), 10)
}

// IsZero reports whether c lies before the first event.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// ParseCursor reads the wire form of a cursor. The empty string and "0" are
// the zero cursor. The error is of kind Invalid.
func ParseCursor(s string) (Cursor, error) {
	if s == "" || s == "0" {
		return Cursor{}, nil
	}
	epoch, seq, ok := strings.Cut(s, "-")
	if ok = ok && epoch != "" && len(epoch) <= maxEpoch; ok {
		for _, b := range []byte(epoch) {
			ok = ok && (b >= '0' && b <= '9' || b >= 'a' && b <= 'z')
		}
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if !ok || err != nil || seq[0] == '+' || (len(seq) > 1 && seq[0] == '0') {
		return Cursor{}, Errorf(Invalid, "not a cursor: %.80q", s)
	}
	return Cursor{Epoch: epoch, Seq: Seq(n)}, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (c Cursor) MarshalText() ([]byte, error) { return c.Append(nil), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Cursor) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCursor(string(text))
	return err
}
