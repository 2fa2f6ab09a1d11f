package idiom

import "time"

// A Group gathers the fragments of an answer for messages that are dear to send.
// With the zero value each fragment is a message.
type Group struct {
	Size int // a message is full with so many fragments
	Most int // or when it is longer than this, in bytes; zero: of any length

	text  []byte
	count int
	since time.Time
}

// Add adds a fragment and reports whether the message is full.
func (g *Group) Add(text string) (full bool) {
	g.text = append(g.text, text...)
	if g.count++; g.count == 1 {
		g.since = time.Now()
	}
	return g.count >= g.Size || g.Most > 0 && len(g.text) > g.Most
}

// Fits reports whether there is room for more, however many fragments wait.
func (g *Group) Fits() bool { return g.Most == 0 || len(g.text) <= g.Most }

// Empty reports whether nothing waits.
func (g *Group) Empty() bool { return g.count == 0 }

// Since returns when the first fragment that waits was added.
func (g *Group) Since() time.Time { return g.since }

// Take returns what waits, which then does no longer.
func (g *Group) Take() string {
	text := string(g.text)
	g.text, g.count = g.text[:0], 0
	return text
}
