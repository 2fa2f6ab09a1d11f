package auth_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/auth"
)

func newKey(t testing.TB) (key, hash string) {
	t.Helper()
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, hash
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	other, _ := newKey(t)
	if !strings.HasPrefix(key, auth.KeyPrefix) || len(key) != len(auth.KeyPrefix)+64 || key == other {
		t.Errorf("got %q and %q", key, other)
	}
	if hash != auth.HashKey(key) {
		t.Errorf("got the hash %q, want %q", hash, auth.HashKey(key))
	}
	const want = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := auth.HashKey("abc"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	ci, ciHash := newKey(t)
	bot, botHash := newKey(t)
	old, oldHash := newKey(t)
	const foreign = "da2-abcdefghijklmnopqrstuvwxyz"
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	w := newWorld()
	svc := w.service(t, auth.Config{Keys: []auth.Key{
		{Name: "ci", Hash: ciHash, Grants: []auth.Grant{{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"ci-*"}}}},
		{Name: "bot", Hash: botHash, User: true},
		{Name: "old", Hash: oldHash, Expires: past},
		{Name: "appsync", Hash: auth.HashKey(foreign), Expires: future},
	}})

	for key, want := range map[string]*runnel.Principal{
		ci: {
			ID: "key:ci", Service: true, Scheme: auth.SchemeKey,
			Grants: []runnel.Grant{{Actions: []runnel.Action{runnel.Read}, Sessions: []string{"ci-*"}}},
		},
		bot:     {ID: "key:bot", Scheme: auth.SchemeKey},
		foreign: {ID: "key:appsync", Service: true, Scheme: auth.SchemeKey, Expires: future},
	} {
		for place, c := range map[string]auth.Credentials{"x-api-key": {APIKey: key}, "bearer": {Token: key}} {
			got, err := svc.Authenticate(t.Context(), c)
			if err != nil {
				t.Fatalf("%s as %s: %v", want.ID, place, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(runnel.Principal{}, "Revoked")); diff != "" {
				t.Error(diff)
			}
		}
	}
	for name, c := range map[string]auth.Credentials{
		"wrong":          {APIKey: ci[:len(ci)-1] + "!"},
		"truncated":      {APIKey: ci[:len(ci)-1]},
		"prefix only":    {APIKey: auth.KeyPrefix},
		"longer":         {APIKey: ci + "0"},
		"upper case":     {APIKey: strings.ToUpper(ci)},
		"its hash":       {APIKey: ciHash},
		"endless":        {APIKey: strings.Repeat(ci, 1000)},
		"wrong, bearer":  {Token: auth.KeyPrefix + strings.Repeat("0", 64)},
		"another scheme": {Token: "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refusedFor(t, svc, c, "unknown_credentials", runnel.Unauthenticated)
		})
	}
	w.refusedFor(t, svc, auth.Credentials{APIKey: old}, "expired", runnel.Unauthenticated)
	w.refusedFor(t, svc, auth.Credentials{Token: old}, "expired", runnel.Unauthenticated)
	w.refusedFor(t, svc, auth.Credentials{}, "no_credentials", runnel.Unauthenticated)

	lines := w.lines(t)
	if got := lines[len(lines)-2]["principal"]; got != "key:old" {
		t.Errorf("the audit log names %v, want key:old", got)
	}
}

func TestAPIKeyExpires(t *testing.T) {
	t.Parallel()
	key, hash := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		svc := w.service(t, auth.Config{Keys: []auth.Key{{Name: "ci", Hash: hash, Expires: time.Now().Add(time.Minute)}}})
		if _, err := svc.Authenticate(t.Context(), auth.Credentials{APIKey: key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.refusedFor(t, svc, auth.Credentials{APIKey: key}, "expired", runnel.Unauthenticated)
	})
}

func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	svc := newWorld().service(t, auth.Config{})
	p, err := svc.Authenticate(t.Context(), auth.Credentials{APIKey: "x", Token: "y"})
	if err != nil || p.ID != "" || !p.May(runnel.Submit, "s") || p.May(runnel.Admin, "s") {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Somebody to whom none of an issuer's grants applies may do nothing; having
// no grants at all would mean nearly everything.
func TestGrantsOfGroups(t *testing.T) {
	t.Parallel()
	s := newECSigner("k")
	cfg := issuerConfig()
	cfg.Issuers[0].Grants = []auth.Grant{
		{Actions: []runnel.Action{runnel.Submit, runnel.Read}, Groups: []string{"staff", "ops"}},
		{Actions: []runnel.Action{runnel.Admin}, Groups: []string{"ops"}},
	}
	svc := newWorld().issuer(s).service(t, cfg)
	for groups, want := range map[string][]runnel.Action{
		"staff": {runnel.Submit, runnel.Read},
		"ops":   {runnel.Submit, runnel.Read, runnel.Admin},
		"guest": nil,
	} {
		p, err := svc.Authenticate(t.Context(), withToken(s.sign(claims("groups", []string{groups}))))
		if err != nil {
			t.Fatal(err)
		}
		var got []runnel.Action
		for _, a := range []runnel.Action{runnel.Submit, runnel.Read, runnel.Cancel, runnel.Publish, runnel.Manage, runnel.Admin} {
			if p.May(a, "s") {
				got = append(got, a)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", groups, diff)
		}
	}
}
