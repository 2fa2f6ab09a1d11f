package main

import (
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/awsfn"
)

func TestDecisions(t *testing.T) {
	key, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("API_KEY_HASHES", hash)
	t.Setenv("ISSUER", "http://127.0.0.1:1") // where nobody answers
	t.Setenv("CLIENT_IDS", "web")
	callers, err := awsfn.OpenCallers(&awsfn.Settings{}, awsfn.NewLogger())
	if err != nil {
		t.Fatal(err)
	}
	a := &authorizer{callers}
	const arn = "arn:aws:execute-api:us-east-1:123456789012:abc/prod/$connect"
	// Of the issuer, and not signed by anybody who could be asked.
	const token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjEiLCJhdWQiOiJ3ZWIiLCJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.c2ln"
	for _, tt := range []struct {
		name, query, header string
		effect              string
		unauthorized, fails bool
	}{
		{"a key", key, "", "Allow", false, false},
		{"a key in a header", "", key, "Allow", false, false},
		{"another key", "rnl_00", "", "Deny", false, false},
		{"nothing", "", "", "", true, true},
		{"a token that nobody can judge", token, "", "", false, true},
	} {
		ev := events.APIGatewayCustomAuthorizerRequestTypeRequest{MethodArn: arn, Headers: map[string]string{"Host": "abc"}}
		if tt.query != "" {
			ev.QueryStringParameters = map[string]string{"token": tt.query}
		}
		if tt.header != "" {
			ev.Headers["x-api-key"] = tt.header
		}
		got, err := a.handle(t.Context(), ev)
		if (err != nil) != tt.fails || errors.Is(err, errUnauthorized) != tt.unauthorized {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if tt.fails {
			continue
		}
		s := got.PolicyDocument.Statement
		if len(s) != 1 || s[0].Effect != tt.effect || s[0].Resource[0] != arn || got.PrincipalID == "" {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}
