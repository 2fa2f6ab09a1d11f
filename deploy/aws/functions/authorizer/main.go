// Command authorizer is a request authorizer of API Gateway: it lets in whoever has
// a token of an OIDC provider or a Cognito user pool, or an API key, in ?token=, in
// Authorization or in x-api-key.
//
// ISSUER with CLIENT_IDS or AUDIENCES, TOKEN_USE and JWKS_URL say whose tokens;
// API_KEY_HASHES which keys, as `runnel key new` prints their hashes.
package main

import (
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/awsfn"
)

func main() {
	var s awsfn.Settings
	callers, err := awsfn.OpenCallers(&s, awsfn.NewLogger())
	if err == nil && callers == nil {
		err = runnel.Errorf(runnel.Invalid, "neither ISSUER nor API_KEY_HASHES says who may connect")
	}
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start((&authorizer{callers}).handle)
}
