package awsfn_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/runnelhq/runnel/internal/awsfn"
)

func TestPost(t *testing.T) {
	t.Parallel()
	var statuses []int // that are to come
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key")+r.Header.Get("X-Api-Key"))
		status := statuses[0]
		statuses = statuses[1:]
		w.Header().Set("X-Amzn-Errortype", "SomeException")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	c := awsfn.Caller{APIKey: "da2", HTTP: server.Client()}
	for _, tt := range []struct {
		name     string
		statuses []int
		refused  int
	}{
		{"well", []int{200}, 0},
		{"at last", []int{429, 503, 500, 200}, 0},
		{"refused", []int{503, 401}, 401},
		{"gone", []int{410}, 410},
	} {
		statuses, keys = slices.Clone(tt.statuses), nil
		err := c.Post(t.Context(), server.URL, "application/json", "k", []byte("{}"), nil)
		r, ok := errors.AsType[*awsfn.Refusal](err)
		if (err == nil) != (tt.refused == 0) || ok && (r.Status != tt.refused || r.Type != "SomeException") || awsfn.Gone(err) != (tt.refused == 410) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if len(statuses) > 0 || len(keys) != len(tt.statuses) || keys[0] != "kda2" || keys[len(keys)-1] != "kda2" {
			t.Errorf("%s: %d answers are left; the keys were %q", tt.name, len(statuses), keys)
		}
	}
}

// There is no time for a further try: that is said at once.
func TestPostGivesUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := awsfn.Caller{Config: aws.Config{}, APIKey: "k", HTTP: server.Client()}
	if err := c.Post(ctx, server.URL, "", "", nil, nil); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}
