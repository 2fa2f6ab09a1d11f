// Package jsonscan reads the few members that a provider needs out of a frame,
// and nothing else. A model server repeats some 250 bytes around every token;
// encoding/json takes a microsecond for each hundred of them and a dozen
// allocations, which would be a fifth of what the gateway may spend on a token.
//
// A [Scanner] walks a value once, forwards:
//
//	s := jsonscan.New(frame)
//	for key := range s.Object() {
//		switch string(key) {
//		case "text":
//			text = s.String()
//		case "items":
//			for range s.Array() {
//				n += s.Int()
//			}
//		}
//	}
//	if err := s.Done(); err != nil {
//
// A member that the loop does not read is skipped; null reads as the zero value
// of whatever is asked for. The first error sticks: loops end, values are zero,
// and [Scanner.Done] returns it. What the scanner accepts is exactly what
// encoding/json accepts, but for values nested deeper than [MaxDepth].
package jsonscan
