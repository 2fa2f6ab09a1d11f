package wsconn_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/wsconn"
)

func request(change func(r *http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://gw.test/dev", nil)
	r.Header.Set("Connection", "keep-alive, Upgrade")
	r.Header.Set("Upgrade", "WebSocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	change(r)
	return r
}

func TestCheck(t *testing.T) {
	t.Parallel()
	set := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	for name, tt := range map[string]struct {
		change     func(r *http.Request)
		status     int
		key, value string
	}{
		"good":                    {change: func(*http.Request) {}},
		"unknown things":          {change: set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")},
		"POST":                    {func(r *http.Request) { r.Method = http.MethodPost }, 405, "Allow", "GET"},
		"HTTP/1.0":                {func(r *http.Request) { r.ProtoMinor = 0 }, 426, "Upgrade", "websocket"},
		"HTTP/2":                  {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, 426, "Upgrade", "websocket"},
		"no upgrade":              {func(r *http.Request) { r.Header.Del("Upgrade") }, 426, "Upgrade", "websocket"},
		"another upgrade":         {set("Upgrade", "h2c"), 426, "Upgrade", "websocket"},
		"not for this connection": {set("Connection", "keep-alive"), 426, "Upgrade", "websocket"},
		"no version":              {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 426, "Sec-Websocket-Version", "13"},
		"an old version":          {set("Sec-WebSocket-Version", "8"), 426, "Sec-Websocket-Version", "13"},
		"no key":                  {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400, "", ""},
		"a short key":             {set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"), 400, "", ""},
		"no base64":               {set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j!Q=="), 400, "", ""},
		"two keys":                {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") }, 400, "", ""},
		"a body":                  {func(r *http.Request) { r.ContentLength = 5 }, 400, "", ""},
		"a body in chunks":        {func(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} }, 400, "", ""},
	} {
		err := wsconn.Check(request(tt.change))
		if tt.status == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		e, ok := err.(*wsconn.HandshakeError)
		if !ok || e.Status != tt.status || tt.key != "" && e.Header.Get(tt.key) != tt.value {
			t.Errorf("%s: got %#v, want %d", name, err, tt.status)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{
		"": true, "http://gw.test": true, "https://GW.test": true, "http://gw.test:81": false,
		"http://evil.test": false, "null": false, "http://gw.test.evil.test": false, "://": false,
	} {
		got := wsconn.SameOrigin(request(func(r *http.Request) {
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}))
		if got != want {
			t.Errorf("%q: got %v", origin, got)
		}
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{"graphql-ws"}, []string{"graphql-ws"}},
		// Padding before the last item is what a strict parser stumbles over.
		{[]string{"header-eyJob3N0IjoieCJ9Cg==, graphql-ws"}, []string{"header-eyJob3N0IjoieCJ9Cg==", "graphql-ws"}},
		{[]string{"a,b", " ,\tc"}, []string{"a", "b", "c"}},
	} {
		r := request(func(r *http.Request) { r.Header["Sec-Websocket-Protocol"] = tt.lines })
		if got := wsconn.Protocols(r); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %s", tt.lines, cmp.Diff(tt.want, got))
		}
	}
}

func TestRefusedOverTheWire(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, echo)
	for name, tt := range map[string]struct {
		change func(r *http.Request)
		status int
	}{
		"plain":         {func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") }, 426},
		"another page":  {func(r *http.Request) { r.Header.Set("Origin", "https://evil.test") }, 403},
		"wrong version": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "7") }, 426},
	} {
		req := request(tt.change)
		req.RequestURI, req.URL.Host = "", r.ln.Addr().String()
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %s", name, resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if n := r.conns.Len(); n != 0 {
		t.Errorf("%d connections", n)
	}
	// What is no error is a connection, and frames may come with the request.
	conn, in := r.raw(t)
	_, _ = conn.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
	got := make([]byte, 4)
	if _, err := in.Read(got); err != nil || string(got) != "\x81\x02hi" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzProtocols(f *testing.F) {
	f.Add("graphql-ws, header-e30=", "dGhlIHNhbXBsZSBub25jZQ==", "https://gw.test")
	f.Fuzz(func(t *testing.T, protocols, key, origin string) {
		r := request(func(r *http.Request) {
			r.Header["Sec-Websocket-Protocol"] = []string{protocols}
			r.Header.Set("Sec-WebSocket-Key", key)
			r.Header.Set("Origin", origin)
		})
		for _, p := range wsconn.Protocols(r) {
			if p == "" {
				t.Error("an empty subprotocol")
			}
		}
		if wsconn.Check(r) == nil && len(key) != 24 {
			t.Errorf("the key %q is accepted", key)
		}
		wsconn.SameOrigin(r)
	})
}
