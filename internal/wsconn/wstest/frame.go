package wstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Opcodes.
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

// Bits of a frame's first byte beside the opcode.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d} //nolint:gochecknoglobals // of RFC 6455's examples

// frame returns a masked frame: bits and opcode, and a payload.
func frame(first byte, payload string) []byte {
	b := header(first, uint64(len(payload)))
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// header returns a masked frame's header that claims n bytes.
func header(first byte, n uint64) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(b, mask[:]...)
}

func text(payload string) []byte { return frame(fin|opText, payload) }

func closing(code int, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// received is a frame from the server.
type received struct {
	op      byte
	payload string
}

func (r received) String() string {
	if r.op == opClose && len(r.payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16([]byte(r.payload)), r.payload[2:])
	}
	if len(r.payload) > 100 {
		return fmt.Sprintf("frame %x with %d bytes", r.op, len(r.payload))
	}
	return fmt.Sprintf("frame %x %q", r.op, r.payload)
}

// readFrame reads a frame of the server's, and says what is wrong with it.
func readFrame(in *bufio.Reader) (received, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return received{}, err
	}
	if head[1]&0x80 != 0 {
		return received{}, errors.New("a masked frame")
	}
	n := uint64(head[1])
	if n >= 126 {
		wide := make([]byte, 8)
		size := 2
		if n == 127 {
			size = 8
		}
		if _, err := io.ReadFull(in, wide[8-size:]); err != nil {
			return received{}, err
		}
		n = binary.BigEndian.Uint64(wide)
		if n < 126 || size == 8 && n < 1<<16 {
			return received{}, errors.New("a length that is longer than it need be")
		}
	}
	if n > 1<<20 {
		return received{}, fmt.Errorf("a frame of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(in, payload); err != nil {
		return received{}, err
	}
	if head[0]&fin == 0 || head[0]&(rsv1|rsv2|rsv3) != 0 {
		return received{}, fmt.Errorf("a frame that begins with %x", head[0])
	}
	return received{op: head[0] & 0xf, payload: string(payload)}, nil
}
