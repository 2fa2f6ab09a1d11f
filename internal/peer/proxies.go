package peer

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose machines are believed when they say for whom
// they ask. The zero value believes nobody.
type Proxies []netip.Prefix

// ParseProxies reads networks, such as 10.0.0.0/8, and single addresses.
func ParseProxies(texts []string) (Proxies, error) {
	var p Proxies
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); aerr == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither a network nor an address; write it like 10.0.0.0/8 or 192.0.2.7", text)
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is an IPv4 network in IPv6 form; write it like 10.0.0.0/8", text)
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

// Client returns the address of the client that sent r: the one at the other
// end of the connection, or, if that is a trusted proxy, the nearest one before
// it that is not. It is invalid if the connection has no IP address.
//
// Proxies add to the right of X-Forwarded-For or Forwarded; all before that the
// client may have made up. If a request has both headers, and they differ in
// what they say, one of them was not touched by the proxy: then neither counts.
// Nor does a list whose next entry is no address. The answer is then the last
// proxy known, which holds its clients to one limit but cannot be escaped from.
func (p Proxies) Client(r *http.Request) netip.Addr {
	nearest := Addr(r)
	if !p.trusts(nearest) {
		return nearest
	}
	list, standard := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	switch {
	case len(standard) == 0:
		return p.walk(nearest, list, parseHop)
	case len(list) == 0:
		return p.walk(nearest, standard, parseForwarded)
	}
	client := p.walk(nearest, list, parseHop)
	if client != p.walk(nearest, standard, parseForwarded) {
		return nearest
	}
	return client
}

// walk follows the hops from the last to the first, as long as they are trusted.
func (p Proxies) walk(nearest netip.Addr, lines []string, parse func(string) (netip.Addr, bool)) netip.Addr {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var element string
			if rest, element, more = cutLast(rest); element == "" {
				continue // allowed in lists, and says nothing
			}
			addr, ok := parse(element)
			if !ok {
				return nearest
			}
			if nearest = addr; !p.trusts(addr) {
				return nearest
			}
		}
	}
	return nearest
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// Resolve makes [Addr] tell the client's address, and [Secure] what it speaks, for
// next and the handlers after it.
func (p Proxies) Resolve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, p.resolve(r))
	})
}

func (p Proxies) resolve(r *http.Request) *http.Request {
	nearest := Addr(r)
	if p.trusts(nearest) {
		if client := p.Client(r); client != nearest {
			r = r.WithContext(r.Context()) // a copy: net/http goes on with its own
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		return r
	}
	// What proxies say besides, nobody else may.
	if r.Header[forwardedProto] != nil || r.Header[forwardedPort] != nil {
		r = r.WithContext(r.Context())
		r.Header = maps.Clone(r.Header)
		delete(r.Header, forwardedProto)
		delete(r.Header, forwardedPort)
	}
	return r
}

const (
	forwardedProto = "X-Forwarded-Proto"
	forwardedPort  = "X-Forwarded-Port"
)

// Secure reports whether the client speaks TLS, with us or, behind
// [Proxies.Resolve], with a proxy that is believed.
func Secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get(forwardedProto), "https")
}

// Addr returns the address in r.RemoteAddr: behind [Proxies.Resolve] that of
// the client, elsewhere that of the connection's other end. IPv4 in IPv6 is
// IPv4, and zones are left out. It is invalid if there is no IP address.
func Addr(r *http.Request) netip.Addr {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(connection.Addr())
}

func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// cutLast cuts off the last element of a comma-separated list.
func cutLast(list string) (rest, element string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", strings.Trim(list, " \t"), false
	}
	return list[:i], strings.Trim(list[i+1:], " \t"), true
}
