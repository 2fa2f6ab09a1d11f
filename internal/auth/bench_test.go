package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/auth"
)

// BenchmarkAuthenticate is what credentials cost a request.
func BenchmarkAuthenticate(b *testing.B) {
	key, hash := newKey(b)
	s := newRSASigner("k", 2048)
	token := s.sign(claims("groups", []string{"staff"}, "email", "ann@example.com"))
	cfg := issuerConfig()
	cfg.Keys = []auth.Key{{Name: "ci", Hash: hash}}
	many := issuerConfig()
	for i := range 100 {
		_, hash := newKey(b)
		many.Keys = append(many.Keys, auth.Key{Name: strconv.Itoa(i), Hash: hash})
	}
	many.Keys = append(many.Keys, cfg.Keys...)
	hook := appSyncConfig()
	w := newWorld().issuer(s).at(hookURL, serve([]byte(`{"isAuthorized":true}`)))

	for _, bc := range []struct {
		name         string
		cfg          auth.Config
		header, text string
	}{
		{"nobody", auth.Config{}, "X-Api-Key", key},
		{"key", cfg, "X-Api-Key", key},
		{"key of 101", many, "Authorization", "Bearer " + key},
		{"token seen before", cfg, "Authorization", "Bearer " + token},
		{"authorizer, answer kept", hook, "Authorization", "opaque"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			svc := w.service(b, bc.cfg)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set(bc.header, bc.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := svc.Authenticate(b.Context(), auth.FromRequest(r)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is what a token costs that was not seen before.
func BenchmarkVerify(b *testing.B) {
	for _, s := range []signer{newRSASigner("k", 2048), newECSigner("k")} {
		b.Run(string(s.alg), func(b *testing.B) {
			svc := newWorld().issuer(s).service(b, issuerConfig())
			tokens := make([]string, 4096)
			for i := range tokens {
				tokens[i] = s.sign(claims("sub", strconv.Itoa(i)))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i == len(tokens) { // all were seen: forget them
					b.StopTimer()
					svc = newWorld().issuer(s).service(b, issuerConfig())
					b.StartTimer()
					i = 0
				}
				if _, err := svc.Authenticate(b.Context(), withToken(tokens[i])); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkMiddleware is what ending a request with its credentials costs.
func BenchmarkMiddleware(b *testing.B) {
	key, hash := newKey(b)
	for name, expires := range map[string]time.Time{"revocable": {}, "revocable and expiring": time.Now().Add(time.Hour)} {
		b.Run(name, func(b *testing.B) {
			svc := newWorld().service(b, auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash, Expires: expires}}})
			handler := svc.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set("X-Api-Key", key)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(nil, r)
			}
		})
	}
}
