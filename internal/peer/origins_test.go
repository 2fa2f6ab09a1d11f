package peer_test

import (
	"testing"

	"github.com/runnelhq/runnel/internal/peer"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	listed, any := []string{"https://chat.example", "https://*.apps.example"}, []string{"*"}
	for _, tt := range []struct {
		name           string
		origins        []string
		lines          []string
		allowed, trust bool
	}{
		{"no page", nil, nil, true, true},
		{"our page", nil, []string{"Origin: http://gateway.example:8080", "Sec-Fetch-Site: same-origin"}, true, true},
		{"our page, in capitals", nil, []string{"Origin: http://GATEWAY.example:8080"}, true, true},
		{"our host, another port", nil, []string{"Origin: http://gateway.example"}, false, false},
		{"another page", nil, []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, false, false},
		{"another page that hides", nil, []string{"Origin: null"}, false, false},
		{"another page, by a link", nil, []string{"Sec-Fetch-Site: cross-site"}, false, false},
		{"a page on a sister site", nil, []string{"Origin: http://gateway.example:8080", "Sec-Fetch-Site: same-site"}, false, false},
		{"nonsense", nil, []string{"Origin: ://"}, false, false},
		{"listed", listed, []string{"Origin: https://chat.example", "Sec-Fetch-Site: cross-site"}, true, true},
		{"not the listed scheme", listed, []string{"Origin: http://chat.example"}, false, false},
		{"listed pattern", listed, []string{"Origin: https://a.b.apps.example"}, true, true},
		{"the pattern's own domain", listed, []string{"Origin: https://apps.example"}, false, false},
		{"beside the pattern", listed, []string{"Origin: https://evilapps.example"}, false, false},
		{"around the pattern", listed, []string{"Origin: https://evil.example/.apps.example"}, false, false},
		{"any", any, []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, true, false},
		{"any, our page", any, []string{"Origin: http://gateway.example:8080"}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := peer.ParseOrigins(tt.origins)
			if err != nil {
				t.Fatal(err)
			}
			r := request("198.51.100.7:1", tt.lines...)
			r.Host = "gateway.example:8080"
			if allowed, trust := o.Allow(r), o.Trust(r); allowed != tt.allowed || trust != tt.trust {
				t.Errorf("allowed %t, trusted %t; want %t, %t", allowed, trust, tt.allowed, tt.trust)
			}
		})
	}
}

func TestParseOriginsRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "chat.example", "https://", "https://a/", "https://u@a", "https://a?b", "https://a*.example", "https://*.*.example", "//a", "null"} {
		if o, err := peer.ParseOrigins([]string{text}); err == nil {
			t.Errorf("%q: got %+v", text, o)
		}
	}
}

func TestAllowHost(t *testing.T) {
	t.Parallel()
	o, err := peer.ParseOrigins([]string{"https://chat.example", "http://*.lan.example:8080"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "chat.localhost:1": true, "localhost.": true,
		"127.0.0.1:8080": true, "[::1]:8080": true, "[::1]": true, "192.0.2.1": true,
		"chat.example": true, "a.lan.example:8080": true, "a.lan.example": false,
		"evil.example": false, "evil.example:8080": false, "localhost.evil.example": false, "evillocalhost": false, "": false,
	} {
		if got := o.AllowHost(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
}
