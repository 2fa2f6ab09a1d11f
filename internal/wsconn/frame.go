package wsconn

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

const fin = 0x80

// AppendText appends the frame of a text message. The payload must be UTF-8.
func AppendText(dst, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpText, len(payload)), payload...)
}

// AppendPing appends a ping. The payload, of at most 125 bytes, comes back with the
// pong, for [Config.Pong].
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, ws.OpPing, payload) }

// headerRoom is the size of the header that BeginText leaves room for: that of
// payloads from 126 bytes to 64 KiB.
const headerRoom = 4

// BeginText begins the frame of a text message whose payload the caller appends
// to the result. [EndText] completes it.
func BeginText(dst []byte) []byte { return append(dst, make([]byte, headerRoom)...) }

// EndText completes the frame that BeginText has begun at len(dst) == start.
func EndText(frame []byte, start int) []byte {
	payload := frame[start+headerRoom:]
	n := len(payload)
	switch size := ws.HeaderSize(ws.Header{Length: int64(n)}); {
	case size < headerRoom:
		copy(frame[start+size:], payload)
		frame = frame[:start+size+n]
	case size > headerRoom:
		frame = append(frame, make([]byte, size-headerRoom)...)
		copy(frame[start+size:], payload)
	}
	appendHeader(frame[:start], ws.OpText, n)
	return frame
}

func appendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, fin|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}

func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// frameEnd returns where the frame ends that holds byte n of frames of ours.
func frameEnd(frames []byte, n int) int {
	end := 0
	for end < n {
		head := frames[end:]
		switch head[1] {
		case 126:
			end += 4 + int(binary.BigEndian.Uint16(head[2:]))
		case 127:
			end += 10 + int(binary.BigEndian.Uint64(head[2:]))
		default:
			end += 2 + int(head[1])
		}
	}
	return end
}
