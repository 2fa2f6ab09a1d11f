package peer_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/peer"
)

func proxies(t testing.TB, texts ...string) peer.Proxies {
	t.Helper()
	p, err := peer.ParseProxies(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request returns one from remote, with headers as lines.
func request(remote string, lines ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestClient(t *testing.T) {
	t.Parallel()
	trusted := proxies(t, "10.0.0.0/8", "192.0.2.1", "fd00::/8")
	const near = "10.0.0.1:5000"
	for _, tt := range []struct {
		name, remote string
		lines        []string
		want         string
	}{
		{"no proxy", "198.51.100.7:1", nil, "198.51.100.7"},
		{"a client that claims to be one", "198.51.100.7:1", []string{"X-Forwarded-For: 1.1.1.1", "Forwarded: for=1.1.1.1"}, "198.51.100.7"},
		{"a proxy that says nothing", near, nil, "10.0.0.1"},
		{"one proxy", near, []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"what the client made up", near, []string{"X-Forwarded-For: 1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", near, []string{"X-Forwarded-For: 1.1.1.1, 198.51.100.7, 192.0.2.1"}, "198.51.100.7"},
		{"lines of their own", near, []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 192.0.2.1"}, "198.51.100.7"},
		{"proxies only", near, []string{"X-Forwarded-For: 10.0.0.9, 192.0.2.1"}, "10.0.0.9"},
		{"ports", near, []string{"X-Forwarded-For: 198.51.100.7:4711"}, "198.51.100.7"},
		{"IPv6", near, []string{"X-Forwarded-For: 2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", near, []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 with a port", near, []string{"X-Forwarded-For: [2001:db8::7]:4711"}, "2001:db8::7"},
		{"a zone", near, []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:5000", []string{"X-Forwarded-For: ::ffff:198.51.100.7"}, "198.51.100.7"},
		{"empty elements", near, []string{"X-Forwarded-For: 198.51.100.7, ,", "X-Forwarded-For: "}, "198.51.100.7"},
		{"no address", near, []string{"X-Forwarded-For: 198.51.100.7, unknown"}, "10.0.0.1"},
		{"no address further away", near, []string{"X-Forwarded-For: unknown, 192.0.2.1"}, "192.0.2.1"},
		{"a unix socket", "@", []string{"X-Forwarded-For: 198.51.100.7"}, "invalid IP"},

		{"Forwarded", near, []string{"Forwarded: for=1.1.1.1, for=198.51.100.7;proto=https;by=10.0.0.1"}, "198.51.100.7"},
		{"Forwarded, IPv6", near, []string{`Forwarded: For="[2001:db8::7]:4711";host="a:80"`}, "2001:db8::7"},
		{"Forwarded, a port without quotes", near, []string{`Forwarded: for=198.51.100.7:4711`}, "198.51.100.7"},
		{"Forwarded, two lines", near, []string{"Forwarded: for=198.51.100.7", "Forwarded: for=192.0.2.1"}, "198.51.100.7"},
		{"Forwarded, hidden", near, []string{"Forwarded: for=198.51.100.7, for=_gazonk"}, "10.0.0.1"},
		{"Forwarded, nobody", near, []string{"Forwarded: for=198.51.100.7, proto=http"}, "10.0.0.1"},
		{"Forwarded, twice", near, []string{"Forwarded: for=198.51.100.7;for=1.1.1.1"}, "10.0.0.1"},
		{"Forwarded, an open quote before it", near, []string{`Forwarded: for=", for=198.51.100.7`}, "198.51.100.7"},
		{"Forwarded, inside a quote", near, []string{`Forwarded: for=198.51.100.7;host="a, for=1.1.1.1"`}, "10.0.0.1"},
		{"Forwarded, inside a quote that ends late", near, []string{`Forwarded: for=198.51.100.7;host="a, for=1.1.1.1;x=y"`}, "10.0.0.1"},

		{"both agree", near, []string{"Forwarded: for=198.51.100.7", "X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"one is made up", near, []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 198.51.100.7"}, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := trusted.Client(request(tt.remote, tt.lines...)).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestNobodyIsTrusted(t *testing.T) {
	t.Parallel()
	r := request("10.0.0.1:5000", "X-Forwarded-For: 1.1.1.1")
	if got := peer.Proxies(nil).Client(r); got != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("got %s", got)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	var seen string
	h := proxies(t, "10.0.0.0/8").Resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RemoteAddr }))
	for _, tt := range []struct{ remote, want string }{
		{"10.0.0.1:5000", "198.51.100.7:0"},
		{"203.0.113.9:5000", "203.0.113.9:5000"},
	} {
		r := request(tt.remote, "X-Forwarded-For: 198.51.100.7")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if seen != tt.want || r.RemoteAddr != tt.remote {
			t.Errorf("from %s: the handler saw %s, want %s; the original has %s", tt.remote, seen, tt.want, r.RemoteAddr)
		}
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	var secure bool
	var port string
	h := proxies(t, "10.0.0.0/8").Resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		secure, port = peer.Secure(r), r.Header.Get("X-Forwarded-Port")
	}))
	for _, tt := range []struct {
		remote, says string
		tls, want    bool
	}{
		{"10.0.0.1:5000", "https", false, true},
		{"10.0.0.1:5000", "http", false, false},
		{"203.0.113.9:5000", "https", false, false},
		{"203.0.113.9:5000", "http", true, true},
	} {
		r := request(tt.remote, "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: "+tt.says, "X-Forwarded-Port: 8443")
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if believed := tt.remote[0] == '1'; secure != tt.want || (port == "8443") != believed {
			t.Errorf("%v: it seems secure: %t, on port %q", tt, secure, port)
		}
		if r.Header.Get("X-Forwarded-Proto") != tt.says {
			t.Error("the original was changed")
		}
	}
}

func TestParseProxiesRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy.example.com", "10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.1:80"} {
		if p, err := peer.ParseProxies([]string{text}); err == nil {
			t.Errorf("%q: got %v", text, p)
		}
	}
}

// FuzzClient: whatever a client writes before what its proxy adds, its address
// is the one that the proxy saw.
func FuzzClient(f *testing.F) {
	trusted := proxies(f, "10.0.0.0/8")
	for _, seed := range []string{"", "1.1.1.1", `for="`, `for="a, for=1.1.1.1"`, `";for="`, ",,,", "10.0.0.2, 10.0.0.3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, made string) {
		for _, r := range []*http.Request{
			request("10.0.0.1:1", "X-Forwarded-For: "+made+", 198.51.100.7"),
			request("10.0.0.1:1", "Forwarded: "+made+", for=198.51.100.7;host=a"),
		} {
			if got := trusted.Client(r).String(); got != "198.51.100.7" {
				t.Errorf("%v: got %s", r.Header, got)
			}
		}
	})
}
