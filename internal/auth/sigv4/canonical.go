package sigv4

import (
	"cmp"
	"slices"
	"strings"
)

const (
	authority = ":authority"
	// maxPairs bounds the work for a query that nobody signed.
	maxPairs = 1024
)

// A pair is one parameter of a query, decoded.
type pair struct{ key, value string }

// parseQuery decodes a query. ok is false if it is not well formed.
func parseQuery(raw string) (pairs []pair, ok bool) {
	if raw == "" {
		return nil, true
	}
	if strings.Count(raw, "&") >= maxPairs {
		return nil, false
	}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, ok1 := unescape(key)
		value, ok2 := unescape(value)
		if !ok1 || !ok2 {
			return nil, false
		}
		pairs = append(pairs, pair{key, value})
	}
	return pairs, true
}

// unescape decodes a part of a query.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high > 15 || low > 15 {
				return "", false
			}
			out = append(out, high<<4|low)
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}

// unhex returns the value of a hexadecimal digit, or more than 15.
func unhex(b byte) byte {
	switch {
	case b >= '0' && b <= '9':
		return b - '0'
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10
	}
	return 16
}

// appendEscaped encodes all bytes of s but the unreserved ones and those in keep.
func appendEscaped(dst []byte, s, keep string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9',
			b == '-', b == '_', b == '.', b == '~', strings.IndexByte(keep, b) >= 0:
			dst = append(dst, b)
		default:
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}

// canonicalQuery encodes the pairs, sorted by what they look like encoded, and
// leaves out the signature itself.
func canonicalQuery(pairs []pair) string {
	if len(pairs) == 0 {
		return ""
	}
	encoded := make([]pair, 0, len(pairs))
	for _, p := range pairs {
		if p.key != paramSignature {
			encoded = append(encoded, pair{string(appendEscaped(nil, p.key, "")), string(appendEscaped(nil, p.value, ""))})
		}
	}
	slices.SortFunc(encoded, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.key)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

// canonicalPaths returns the forms of a target's path that clients sign: the
// wire form encoded once more, and if it differs the same with runs of slashes
// made one. Dot segments stay: to drop them would let a signed path be sent as
// one that doors do not take for the same.
func canonicalPaths(target string) []string {
	path, _, _ := strings.Cut(target, "?")
	if path == "" {
		path = "/"
	}
	paths := []string{string(appendEscaped(nil, path, "/"))}
	if strings.Contains(path, "//") {
		paths = append(paths, string(appendEscaped(nil, collapse(path, "/"), "/")))
	}
	return paths
}

// canonicalHosts returns the names that the client may have signed: what it
// sent, that without its port, and the configured ones.
func canonicalHosts(host string, aliases []string) []string {
	hosts := make([]string, 0, 2+len(aliases))
	if host != "" {
		hosts = append(hosts, host)
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			hosts = append(hosts, host[:i])
		}
	}
	return append(hosts, aliases...)
}

// appendHeader appends the line of a signed header. The white space is what
// keeps a value within its line: handshakes may bring line ends along.
func appendHeader(dst []byte, name string, values []string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, collapse(strings.Trim(v, whitespace), whitespace)...)
	}
	return append(dst, '\n')
}

const whitespace = " \t\n\v\f\r"

// collapse replaces runs of the given bytes by the first of them.
func collapse(s, set string) string {
	plain := true
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 && (s[i] != set[0] || i > 0 && strings.IndexByte(set, s[i-1]) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch in := strings.IndexByte(set, s[i]) >= 0; {
		case !in:
			out = append(out, s[i])
		case i == 0 || strings.IndexByte(set, s[i-1]) < 0:
			out = append(out, set[0])
		}
	}
	return string(out)
}

// appendRequest appends the canonical request.
func (c *claim) appendRequest(dst []byte, r Request, path, query, host, payload string) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = append(dst, query...)
	dst = append(dst, '\n')
	for _, name := range c.headers {
		if name == "host" || name == authority {
			dst = appendHeader(dst, name, []string{host})
		} else {
			dst = appendHeader(dst, name, r.Header.Values(name))
		}
	}
	dst = append(dst, '\n')
	for i, name := range c.headers {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, name...)
	}
	dst = append(dst, '\n')
	return append(dst, payload...)
}
