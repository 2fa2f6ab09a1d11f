package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

// open starts a request that lasts as long as its context, and returns what
// ends it: its context's cause.
func open(t *testing.T, svc *auth.Service, header, value string) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	handler := svc.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	}), func(_ http.ResponseWriter, _ *http.Request, err error) { ended <- err })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set(header, value)
	go handler.ServeHTTP(httptest.NewRecorder(), r)
	synctest.Wait()
	return ended
}

// lasting reports whether the request goes on.
func lasting(ended <-chan error) bool {
	synctest.Wait()
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

func checkEnd(t *testing.T, what string, ended <-chan error, msg string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-ended:
		if runnel.KindOf(err) != runnel.Unauthenticated || runnel.PublicMessage(err) != msg {
			t.Errorf("%s: ended with %v, want %q", what, err, msg)
		}
	default:
		t.Errorf("%s: it goes on", what)
	}
}

const withdrawn = "the credentials have been withdrawn"

func TestReloadEndsWhatIsWithdrawn(t *testing.T) {
	t.Parallel()
	gone, goneHash := newKey(t)
	changed, changedHash := newKey(t)
	kept, keptHash := newKey(t)
	s := newECSigner("k")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().issuer(s)
		cfg := issuerConfig()
		cfg.Keys = []auth.Key{{Name: "gone", Hash: goneHash}, {Name: "changed", Hash: changedHash}, {Name: "kept", Hash: keptHash}}
		svc := w.service(t, cfg)
		token := s.sign(claims())
		onGone, onChanged, onKept := open(t, svc, "X-Api-Key", gone), open(t, svc, "X-Api-Key", changed), open(t, svc, "X-Api-Key", kept)
		onToken := open(t, svc, "Authorization", token)

		next := issuerConfig()
		next.Keys = []auth.Key{{Name: "kept", Hash: keptHash}, {
			Name: "changed", Hash: changedHash, Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Read}}},
		}}
		if err := svc.Reload(next); err != nil {
			t.Fatal(err)
		}
		checkEnd(t, "the removed key", onGone, withdrawn)
		checkEnd(t, "the key with other grants", onChanged, withdrawn)
		if !lasting(onKept) || !lasting(onToken) {
			t.Error("what has not changed was ended")
		}
		w.refusedFor(t, svc, auth.Credentials{APIKey: gone}, "unknown_credentials", runnel.Unauthenticated)
		if n := w.asked(keysURL); n != 1 {
			t.Errorf("the issuer was asked %d times, want 1", n)
		}

		// An issuer that demands more is as good as another one.
		next.Issuers[0].Groups = []string{"staff"}
		if err := svc.Reload(next); err != nil {
			t.Fatal(err)
		}
		checkEnd(t, "the token", onToken, withdrawn)
		w.refusedFor(t, svc, withToken(token), "group", runnel.Denied)
		if !lasting(onKept) {
			t.Error("the kept key was ended")
		}
		var withdrawals int
		for _, l := range w.lines(t) {
			if l["msg"] == "acted" && l["action"] == "withdraw" {
				withdrawals++
			}
		}
		if withdrawals != 3 {
			t.Errorf("the audit log has %d withdrawals, want 3", withdrawals)
		}
	})
}

func TestReloadRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		svc := newWorld().service(t, auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash}}})
		onKey := open(t, svc, "X-Api-Key", key)
		if err := svc.Reload(auth.Config{Keys: []auth.Key{{Name: "ci", Hash: "plain"}}}); err == nil {
			t.Error("a broken configuration was accepted")
		}
		if !lasting(onKey) {
			t.Error("a broken configuration ended a connection")
		}
		if _, err := svc.Authenticate(t.Context(), auth.Credentials{APIKey: key}); err != nil {
			t.Error(err)
		}
	})
}

// Who was let in because nobody was asked is asked as soon as somebody is.
func TestReloadAsksEverybody(t *testing.T) {
	t.Parallel()
	_, hash := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		svc := newWorld().service(t, auth.Config{})
		open := open(t, svc, "X-Nothing", "")
		if err := svc.Reload(auth.Config{}); err != nil {
			t.Fatal(err)
		}
		if !lasting(open) {
			t.Error("a reload that changes nothing ended a connection")
		}
		if err := svc.Reload(auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash}}}); err != nil {
			t.Fatal(err)
		}
		checkEnd(t, "an anonymous connection", open, withdrawn)
	})
}

func TestExpiryEndsRequests(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	s := newECSigner("k")
	synctest.Test(t, func(t *testing.T) {
		cfg := issuerConfig()
		cfg.Keys = []auth.Key{{Name: "ci", Hash: hash, Expires: time.Now().Add(10 * time.Second)}}
		svc := newWorld().issuer(s).service(t, cfg)
		onKey := open(t, svc, "X-Api-Key", key)
		onToken := open(t, svc, "Authorization", s.sign(claims("exp", time.Now().Add(20*time.Second).Unix())))
		time.Sleep(9 * time.Second)
		if !lasting(onKey) {
			t.Error("the key's request has ended too soon")
		}
		time.Sleep(2 * time.Second)
		checkEnd(t, "the key", onKey, "the credentials have expired")
		if !lasting(onToken) {
			t.Error("the token's request has ended too soon")
		}
		time.Sleep(10 * time.Second)
		checkEnd(t, "the token", onToken, "the credentials have expired")
	})
}

// Somebody who was authenticated before a reload, and is bound after it.
func TestBindAfterWithdrawal(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	svc := newWorld().service(t, auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash}}})
	p, err := svc.Authenticate(t.Context(), auth.Credentials{APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Reload(auth.Config{}); err != nil {
		t.Fatal(err)
	}
	ctx, release := svc.Bind(t.Context(), p)
	defer release()
	<-ctx.Done()
	if got := runnel.PublicMessage(context.Cause(ctx)); got != withdrawn {
		t.Errorf("got %q, want %q", got, withdrawn)
	}
	<-p.Revoked
}

// Signers keep their own revocations.
func TestSignatures(t *testing.T) {
	t.Parallel()
	revoked := make(chan struct{})
	w := newWorld()
	svc := w.service(t, auth.Config{Signatures: func(c auth.Credentials) (*runnel.Principal, error) {
		switch c.Request.Header.Get("Authorization") {
		case "AWS4-HMAC-SHA256 good":
			return &runnel.Principal{ID: "iam:AK", Revoked: revoked}, nil
		case "AWS4-HMAC-SHA256 gone":
			return nil, io.ErrUnexpectedEOF
		}
		return nil, runnel.Errorf(runnel.Unauthenticated, "the signature does not match")
	}})
	signed := func(signature string) auth.Credentials {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+signature)
		return auth.FromRequest(r)
	}
	w.refusedFor(t, svc, signed("bad"), "signature", runnel.Unauthenticated)
	w.refusedFor(t, svc, auth.Credentials{Token: "other"}, "unknown_credentials", runnel.Unauthenticated)
	if _, err := svc.Authenticate(t.Context(), signed("gone")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the error of reading the body", err)
	}
	p, err := svc.Authenticate(t.Context(), signed("good"))
	if err != nil || p.ID != "iam:AK" {
		t.Fatalf("got %+v, %v", p, err)
	}
	ctx, release := svc.Bind(t.Context(), p)
	_, releaseOther := svc.Bind(t.Context(), p)
	releaseOther() // ends what waits, revoked or not
	close(revoked)
	<-ctx.Done()
	release()
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	svc := newWorld().service(t, auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash}}})
	handler := svc.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, runnel.PrincipalFrom(r.Context()).ID)
	}), func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, runnel.PublicMessage(err), http.StatusUnauthorized)
	})
	for given, want := range map[string]string{key: "key:ci", "x": "the credentials are not valid\n", "": "credentials are required\n"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("X-Api-Key", given)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if got := rec.Body.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestReloadWhileAuthenticating(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	s := newECSigner("k")
	cfg := issuerConfig()
	cfg.Keys = []auth.Key{{Name: "ci", Hash: hash}}
	svc := newWorld().issuer(s).service(t, cfg)
	token := s.sign(claims())
	var all sync.WaitGroup
	for _, c := range []auth.Credentials{{APIKey: key}, {Token: token}, {APIKey: key}, {Token: token}} {
		all.Go(func() {
			for range 500 {
				p, err := svc.Authenticate(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				_, release := svc.Bind(t.Context(), p)
				release()
			}
		})
	}
	for i := range 50 {
		next := cfg
		next.Keys = []auth.Key{{Name: "ci", Hash: hash, User: i%2 == 0}}
		if err := svc.Reload(next); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	if kept, first := auth.Remember(auth.MaxRemembered + 1000); kept != auth.MaxRemembered || !first {
		t.Errorf("kept %d, the one in use: %v", kept, first)
	}
}
