package peer

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Origins are the web sites, besides our own, whose pages may use the node. The
// zero value is none.
type Origins struct {
	any    bool
	listed []site
}

// A site is an origin, or all origins with that beginning and that end.
type site struct {
	prefix, suffix string // in lower case
	pattern        bool
}

// ParseOrigins reads origins, such as https://chat.example.com, of all
// subdomains, such as https://*.example.com, or * for any.
func ParseOrigins(texts []string) (Origins, error) {
	var o Origins
	for _, text := range texts {
		if text == "*" {
			o.any = true
			continue
		}
		lower := strings.ToLower(text)
		u, err := url.Parse(lower)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != lower {
			return Origins{}, fmt.Errorf("%q is not an origin; write scheme and host, such as https://chat.example.com, or *", text)
		}
		s := site{prefix: lower}
		if domain, ok := strings.CutPrefix(u.Host, "*."); ok {
			s = site{prefix: u.Scheme + "://", suffix: "." + domain, pattern: true}
		}
		if strings.Contains(s.prefix+s.suffix, "*") {
			return Origins{}, fmt.Errorf("%q: a star stands for all subdomains, as in https://*.example.com", text)
		}
		o.listed = append(o.listed, s)
	}
	return o, nil
}

// None reports whether no site but our own is meant.
func (o Origins) None() bool { return !o.any && len(o.listed) == 0 }

// Any reports whether every site is meant.
func (o Origins) Any() bool { return o.any }

// Allow reports whether r comes from a page that may use the node, or from none:
// a browser names the page's origin. It is the policy for WebSockets too, which
// a browser lets any page open, without a question like that of CORS.
func (o Origins) Allow(r *http.Request) bool { return o.any || o.Trust(r) }

// Trust is Allow without regard to *: whether cookies count that come with r. A
// browser sends them along for any page, without its user's knowledge.
func (o Origins) Trust(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if o.Lists(origin) {
		return true
	}
	if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host)) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return false
}

// AllowHost reports whether a browser may be asking for this machine by that
// name: it is a listed one, an address, which no site can have led here, or
// localhost.
func (o Origins) AllowHost(hostPort string) bool {
	if o.any || o.Lists("https://"+hostPort) || o.Lists("http://"+hostPort) {
		return true
	}
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Lists reports whether an origin is named, or is a subdomain of one that is.
func (o Origins) Lists(origin string) bool {
	origin = strings.ToLower(origin)
	for _, s := range o.listed {
		if s.matches(origin) {
			return true
		}
	}
	return false
}

func (s site) matches(origin string) bool {
	if !s.pattern {
		return origin == s.prefix
	}
	rest, begins := strings.CutPrefix(origin, s.prefix)
	sub, ends := strings.CutSuffix(rest, s.suffix)
	return begins && ends && sub != "" && !strings.ContainsAny(sub, "/:@?#")
}
