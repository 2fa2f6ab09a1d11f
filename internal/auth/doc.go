// Package auth turns the credentials of a request into a [runnel.Principal].
//
// Five schemes live side by side, each in its own file: API keys (apikey.go),
// tokens of OIDC issuers and Cognito user pools (issuer.go, claims.go, with
// jwks.go for their keys), AWS signatures (signature.go; package sigv4
// does the arithmetic), and a webhook in the shapes of an AppSync or API Gateway Lambda
// authorizer (webhook.go, appsync.go, gateway.go, policy.go).
//
// A request is judged by one set of credentials, the first it has in this order,
// and a scheme that is not configured is passed over:
//
//  1. x-api-key
//  2. an AWS signature, in Authorization or in the query
//  3. Authorization, with or without Bearer; else ?token=; else an issuer's
//     cookie: a token of a configured issuer, or an API key
//  4. whatever the webhook makes of it
//
// What one scheme has recognised and refused, no other is asked about: a wrong
// x-api-key does not fall through to a token.
//
// Rules that the package keeps:
//
//   - Credentials never reach the log, an error or a key in memory that is not
//     a digest. Errors say what is wrong in fixed words.
//   - Garbage drives no requests: an issuer is asked for its keys at most once
//     in ten seconds, whatever arrives.
//   - Everything that others send is bounded: tokens, key sets, answers, time.
//   - When in doubt the answer is no; an authorizer that fails allows nothing.
//   - What [Service.Authenticate] returned is shared, and never changed.
//
// [Service.Bind] ties a context to credentials: it ends, with a cause of kind
// Unauthenticated, when they expire or [Service.Reload] withdraws them.
package auth
