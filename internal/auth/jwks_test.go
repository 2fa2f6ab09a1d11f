package auth_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

// Whatever arrives, the issuer is asked once in ten seconds.
func TestUnknownKeyFlood(t *testing.T) {
	t.Parallel()
	good, unknown := newECSigner("k1"), newECSigner("")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(good)
		svc := w.service(t, issuerConfig())
		begin := time.Now()
		flood := func(n int) {
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					s := signer{fmt.Sprintf("kid-%d-%d", i, time.Since(begin)), jose.ES256, unknown.key}
					if p, err := svc.Authenticate(t.Context(), withToken(s.sign(claims()))); err == nil {
						t.Errorf("got %v", p.ID)
					}
				})
			}
			all.Wait()
		}
		for range 30 {
			flood(10)
			time.Sleep(time.Second)
		}
		if n := w.asked(keysURL); n != 3 {
			t.Errorf("asked %d times within 30 s, want 3", n)
		}
		if n := w.asked(discoveryURL); n != 1 {
			t.Errorf("discovered %d times, want once", n)
		}
		if _, err := svc.Authenticate(t.Context(), withToken(good.sign(claims()))); err != nil {
			t.Error(err)
		}
	})
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	old, next := newECSigner("k1"), newECSigner("k2")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(old)
		svc := w.service(t, issuerConfig())
		admit := func(s signer) error {
			_, err := svc.Authenticate(t.Context(), withToken(s.sign(claims())))
			return err
		}
		if err := admit(old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		w.issuer(next)
		if err := admit(next); err != nil {
			t.Errorf("a token with the new key, at once: %v", err)
		}
		time.Sleep(time.Second)
		if err := admit(old); err == nil {
			t.Error("a token with the key that is gone counts")
		}
	})
}

// A key that its issuer has taken back counts for an hour at most, and a
// token that was seen before for five minutes more.
func TestKeysAreFetchedAgain(t *testing.T) {
	t.Parallel()
	old, next := newECSigner("k1"), newECSigner("k2")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(old)
		svc := w.service(t, issuerConfig())
		token := old.sign(claims("exp", time.Now().Add(9*time.Hour).Unix()))
		if _, err := svc.Authenticate(t.Context(), withToken(token)); err != nil {
			t.Fatal(err)
		}
		w.issuer(next)
		time.Sleep(59 * time.Minute)
		if _, err := svc.Authenticate(t.Context(), withToken(token)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		if _, err := svc.Authenticate(t.Context(), withToken(token)); err == nil {
			t.Error("the key still counts")
		}
	})
}

// An issuer that is out of reach does not lock its users out, and is asked
// less and less often.
func TestStaleKeys(t *testing.T) {
	t.Parallel()
	s := newECSigner("k1")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(s)
		svc := w.service(t, issuerConfig())
		end := time.Now().Add(1000 * time.Hour).Unix()
		admit := func() error {
			_, err := svc.Authenticate(t.Context(), withToken(s.sign(claims("exp", end))))
			return err
		}
		if err := admit(); err != nil {
			t.Fatal(err)
		}
		broken := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }
		w.at(keysURL, broken).at(discoveryURL, broken)
		before := w.asked(keysURL) + w.asked(discoveryURL)
		time.Sleep(2 * time.Hour)
		for range 600 {
			if err := admit(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := w.asked(keysURL) + w.asked(discoveryURL) - before; n < 5 || n > 15 {
			t.Errorf("asked %d times in ten minutes, want about one a minute", n)
		}
		time.Sleep(23 * time.Hour)
		w.refusedFor(t, svc, withToken(s.sign(claims("exp", end))), "no_signing_keys", runnel.Unavailable)
	})
}

func TestKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	s := newECSigner("k1")
	weak := newRSASigner("k1", 1024)
	good := keySet(s)
	for name, prepare := range map[string]func(*world){
		"nothing there":  func(*world) {},
		"garbage":        func(w *world) { w.at(keysURL, serve([]byte("<html>"))) },
		"no keys":        func(w *world) { w.at(keysURL, serve([]byte(`{"keys":[]}`))) },
		"not a set":      func(w *world) { w.at(keysURL, serve([]byte(`[1]`))) },
		"huge":           func(w *world) { w.at(keysURL, serve(append(good, strings.Repeat(" ", 300<<10)...))) },
		"too many":       func(w *world) { w.at(keysURL, serve([]byte(`{"keys":[`+strings.Repeat(`{},`, 70)+`{}]}`))) },
		"weak":           func(w *world) { w.at(keysURL, serve(keySet(weak))) },
		"secrets":        func(w *world) { w.at(keysURL, serve([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"}]}`))) },
		"for encryption": func(w *world) { w.at(keysURL, serve([]byte(strings.Replace(string(good), `"sig"`, `"enc"`, 1)))) },
		"status 500": func(w *world) {
			w.at(keysURL, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500); _, _ = rw.Write(good) })
		},
		"redirect": func(w *world) {
			w.at(keysURL, http.RedirectHandler("https://evil.example/keys", http.StatusFound).ServeHTTP)
		},
		"another's document": func(w *world) {
			w.at(discoveryURL, serve([]byte(`{"issuer":"https://evil.example","jwks_uri":"`+keysURL+`"}`)))
		},
		"keys without TLS": func(w *world) {
			w.at(discoveryURL, serve([]byte(`{"issuer":"`+issuerURL+`","jwks_uri":"http://evil.example/keys"}`)))
		},
		"keys in a file": func(w *world) {
			w.at(discoveryURL, serve([]byte(`{"issuer":"`+issuerURL+`","jwks_uri":"file:///etc/passwd"}`)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld().issuer(s)
			w.at("https://evil.example/keys", serve(good)).at("http://evil.example/keys", serve(good))
			w.at(keysURL, nil)
			if name == "another's document" || strings.HasPrefix(name, "keys ") {
				w.at(keysURL, serve(good))
			}
			prepare(w)
			svc := w.service(t, issuerConfig())
			w.refusedFor(t, svc, withToken(s.sign(claims())), "no_signing_keys", runnel.Unavailable)
		})
	}
}

func TestSlowIssuer(t *testing.T) {
	t.Parallel()
	s := newECSigner("k1")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(s)
		w.at(keysURL, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		svc := w.service(t, issuerConfig())
		begin := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := svc.Authenticate(t.Context(), withToken(s.sign(claims())))
				if runnel.KindOf(err) != runnel.Unavailable {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := w.asked(keysURL); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
	})
}

// A key of a kind that we do not know does not spoil the others.
func TestUnknownKindOfKey(t *testing.T) {
	t.Parallel()
	s := newECSigner("k1")
	set := strings.Replace(string(keySet(s)), `{"keys":[`, `{"keys":[{"kty":"XYZ","kid":"x"},{"kty":"RSA"},`, 1)
	svc := newWorld().issuer(s).at(keysURL, serve([]byte(set))).service(t, issuerConfig())
	if _, err := svc.Authenticate(t.Context(), withToken(s.sign(claims()))); err != nil {
		t.Error(err)
	}
}

func TestKeysOfFile(t *testing.T) {
	t.Parallel()
	old, next := newECSigner("k1"), newECSigner("k2")
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := issuerConfig()
	cfg.Issuers[0].JWKSFile = file
	w := newWorld()

	if _, err := auth.New(cfg, nil, discard()); err == nil {
		t.Error("a file that is missing was accepted")
	}
	write(keySet(old))
	svc := w.service(t, cfg)
	p, err := svc.Authenticate(t.Context(), withToken(old.sign(claims())))
	if err != nil {
		t.Fatal(err)
	}
	w.refusedFor(t, svc, withToken(next.sign(claims())), "unknown_signing_key", runnel.Unauthenticated)

	write([]byte("{"))
	if err := svc.Reload(cfg); err == nil {
		t.Error("a broken file was accepted")
	}
	if _, err := svc.Authenticate(t.Context(), withToken(old.sign(claims()))); err != nil {
		t.Errorf("after a broken file: %v", err)
	}

	write(keySet(next))
	if err := svc.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Authenticate(t.Context(), withToken(next.sign(claims()))); err != nil {
		t.Error(err)
	}
	w.refusedFor(t, svc, withToken(old.sign(claims())), "unknown_signing_key", runnel.Unauthenticated)
	select {
	case <-p.Revoked:
		t.Error("new keys ended the connections of an issuer that has not changed")
	default:
	}
}
