package peer

import (
	"net/netip"
	"strings"
)

// parseHop reads an element of X-Forwarded-For: an address, with a port as some
// proxies write it, or without.
func parseHop(text string) (netip.Addr, bool) {
	if connection, err := netip.ParseAddrPort(text); err == nil {
		return plain(connection.Addr()), true
	}
	if bare, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(bare, "]")
	}
	addr, err := netip.ParseAddr(text)
	return plain(addr), err == nil
}

// parseForwarded reads an element of Forwarded (RFC 7239) and returns its for.
// It must be well-formed as a whole: the lists are cut at commas without a look
// at quotes, and what is half of a quoted string must not pass for an element.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !found || !isToken(name) {
			return netip.Addr{}, false
		}
		quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'
		if quoted {
			value = value[1 : len(value)-1]
		}
		if strings.ContainsAny(value, `"\`) || !quoted && !isToken(value) {
			return netip.Addr{}, false
		}
		if !strings.EqualFold(name, "for") {
			continue
		}
		if ok { // for, twice
			return netip.Addr{}, false
		}
		if addr, ok = parseHop(value); !ok { // unknown, or a name that hides it
			return netip.Addr{}, false
		}
	}
	return addr, ok
}

// isToken reports whether text is a token of HTTP's grammar.
func isToken(text string) bool {
	for _, b := range []byte(text) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0:
		case b == ':': // proxies write for=192.0.2.7:80 without the quotes it needs
		default:
			return false
		}
	}
	return text != ""
}
