package auth

import "time"

// MaxRemembered bounds the caches.
const MaxRemembered = maxRemembered

// Remember puts n values into a cache and returns how many it keeps, and
// whether the first, which is used all the time, is among them.
func Remember(n int) (kept int, first bool) {
	c := newCache[int]()
	for i := range n {
		c.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, i, time.Now().Add(time.Hour))
		_, first = c.get([32]byte{})
	}
	return len(c.byKey), first && c.recent.Len() == len(c.byKey)
}

// Allows parses a policy document and asks it about a resource.
func Allows(document, resource string) (bool, error) {
	p, err := parsePolicy([]byte(document))
	return err == nil && p.allows(resource), err
}

// Matches is the comparison of policies.
var Matches = matches

// ParseKeys reads a key set and returns how many keys it has for us.
func ParseKeys(data []byte) (int, error) {
	ks, err := parseKeys(data)
	return len(ks), err
}

// Answers reads a webhook's answer in both forms and returns how many can use it.
func Answers(body []byte) (usable int) {
	for _, f := range []form{appSync{}, gateway{}} {
		if a, err := f.answer(body); err == nil {
			a.allows("arn")
			usable++
		}
	}
	return usable
}
