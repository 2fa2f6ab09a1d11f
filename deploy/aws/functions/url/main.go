// Command url is behind a function URL that streams: {"prompt"} in, the answer's text
// out, as it comes. Who may ask is the URL's own business (AWS_IAM), or, with ISSUER
// or API_KEY_HASHES as for the authorizer, this function's.
package main

import (
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/runnelhq/runnel/internal/awsfn"
)

func main() {
	var s awsfn.Settings
	f := &function{log: awsfn.NewLogger()}
	var err error
	if f.callers, err = awsfn.OpenCallers(&s, f.log); err == nil {
		f.model, err = awsfn.OpenModel(&s, 1)
	}
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(f.handle)
}
