package lambda

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/runnelhq/runnel/internal/function"
)

// cross decides about requests that the pages of other origins send.
type cross struct {
	cfg    *function.CORS // nil: the function itself decides
	strict *http.CrossOriginProtection
}

// newCross returns the rules of a function URL. Where everybody may come, as with
// Lambda, and where a signature is needed, a page is no danger that others are not.
func newCross(u *function.URL) cross {
	c := cross{cfg: u.CORS}
	if u.Auth == function.AuthGateway {
		c.strict = http.NewCrossOriginProtection()
	}
	return c
}

// preflight answers a preflight, if r is one that is not the function's business.
func (c cross) preflight(w http.ResponseWriter, r *http.Request) bool {
	if c.cfg == nil || r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if h := w.Header(); c.allow(h, r) {
		set := func(name string, values []string) {
			if len(values) > 0 {
				h.Set(name, strings.Join(values, ","))
			}
		}
		methods := c.cfg.Methods
		if slices.Contains(methods, "*") { // which browsers do not take where credentials are sent
			methods = []string{r.Header.Get("Access-Control-Request-Method")}
		}
		set("Access-Control-Allow-Methods", methods)
		headers := c.cfg.Headers
		if slices.Contains(headers, "*") {
			headers = r.Header.Values("Access-Control-Request-Headers")
		}
		set("Access-Control-Allow-Headers", headers)
		if c.cfg.MaxAge > 0 {
			h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.cfg.MaxAge.Seconds())))
		}
	}
	w.WriteHeader(http.StatusOK)
	return true
}

// admits reports whether r may go on to the function.
func (c cross) admits(r *http.Request) bool {
	if c.cfg != nil {
		origin := r.Header.Get("Origin")
		return origin == "" || c.matches(origin) || sameOrigin(r, origin)
	}
	return c.strict == nil || c.strict.Check(r) == nil
}

func sameOrigin(r *http.Request, origin string) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && host == r.Host
}

func (c cross) matches(origin string) bool {
	return slices.ContainsFunc(c.cfg.Origins, func(allowed string) bool {
		return allowed == "*" || strings.EqualFold(allowed, origin)
	})
}

// allow adds what a page of another origin needs to see the response. It reports
// false if it may not.
func (c cross) allow(h http.Header, r *http.Request) bool {
	if c.cfg == nil {
		return false
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !c.matches(origin) {
		return false
	}
	if slices.Contains(c.cfg.Origins, "*") {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if len(c.cfg.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.cfg.Expose, ","))
	}
	if c.cfg.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// drops reports whether a header of the function's gives way to ours.
func (c cross) drops(name string) bool {
	return c.cfg != nil && strings.HasPrefix(name, "Access-Control-")
}
