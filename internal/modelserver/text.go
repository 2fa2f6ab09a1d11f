package modelserver

import (
	"hash/fnv"
	"iter"
	"strconv"
	"strings"
	"time"
)

// words is what answers are made of. It has what breaks careless encoders:
// quotes, backslashes, markup, and characters of two, three and four bytes.
var words = [64]string{
	"the", "a", "of", "to", "and", "in", "is", "it", "that", "for", "as", "with", "on", "by", "at", "from",
	"stream", "token", "log", "cursor", "session", "event", "reader", "writer", "door", "wire", "clock", "queue",
	"river", "stone", "bridge", "garden", "window", "letter", "winter", "morning", "signal", "engine", "paper", "light",
	"quick", "quiet", "early", "narrow", "steady", "bright", "plain", "durable", "exactly", "once", "never", "always",
	"café", "naïve", "Grüße", "日本語", "мир", "λ", "🚀", "\"quoted\"", "C:\\temp", "<b>", "&amp;", "x=1\n",
}

// Tokens returns the first n tokens of the answer to a question: the text of
// the last user message, with its markers.
func Tokens(question string, n int) iter.Seq[string] {
	seed := hash(question)
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(token(seed, i)) {
				return
			}
		}
	}
}

// Text returns what [Tokens] are when they are joined.
func Text(question string, n int) string {
	var b strings.Builder
	for t := range Tokens(question, n) {
		b.WriteString(t)
	}
	return b.String()
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// token returns one token of an answer. Words after the first bring the space
// in front of them along, as those of real models do.
func token(seed uint64, i int) string {
	w := words[mix(seed+uint64(i))%uint64(len(words))]
	if i == 0 {
		return w
	}
	return " " + w
}

// mix is the output function of SplitMix64: neighbours come out unrelated.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A stamp is the time in nanoseconds since 1970, in stampLen hexadecimal
// digits, and a space.
const stampLen = 16

func appendStamp(dst []byte, t time.Time) []byte {
	const zeros = "0000000000000000"
	var digits [stampLen]byte
	d := strconv.AppendUint(digits[:0], uint64(t.UnixNano()), 16)
	dst = append(dst, zeros[len(d):]...)
	dst = append(dst, d...)
	return append(dst, ' ')
}

// Unstamp takes the stamps out of a text of whole tokens that were sent with
// stamp=1. It returns the text without them and when each token was sent.
func Unstamp(text string) (plain string, sent []time.Time) {
	var b strings.Builder
	for len(text) > 0 {
		if t, ok := cutStamp(text); ok {
			sent = append(sent, t)
			text = text[stampLen+1:]
			continue
		}
		b.WriteByte(text[0])
		text = text[1:]
	}
	return b.String(), sent
}

func cutStamp(text string) (time.Time, bool) {
	if len(text) <= stampLen || text[stampLen] != ' ' {
		return time.Time{}, false
	}
	n, err := strconv.ParseUint(text[:stampLen], 16, 63)
	return time.Unix(0, int64(n)), err == nil
}
