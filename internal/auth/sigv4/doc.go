// Package sigv4 checks requests that were signed with AWS Signature Version 4,
// so that clients built for API Gateway, AppSync, Bedrock, Lambda, Lex and
// DynamoDB work with access keys that this gateway was configured with. It
// cannot check the keys of AWS accounts: nobody but AWS knows their secrets.
//
// A signature covers a canonical form of the request. Clients differ in how they
// arrive at it, and the verifier follows all of them:
//
//   - The path is encoded once more than it was on the wire, so it must come from
//     the request line, never from a decoded URL. Runs of slashes count as one
//     for the clients that think so.
//   - Over HTTP/2 some clients sign ":authority" where others sign "host". Some
//     leave out the port. Behind a proxy the client may know another name, which
//     [Config.Hosts] lists.
//   - In a query + is a space; pairs are sorted after encoding.
//   - AppSync's realtime clients sign an imagined HTTP request and send its
//     headers in a handshake; [Realtime] rebuilds it. Apollo's client signs
//     another body than it sends.
//
// What is refused although a lenient reading would pass: signatures in two
// places, repeated parameters, headers of the x-amz family that are not signed,
// and any spelling of a signature but the usual one.
//
// Nothing is remembered about requests: within the time that a signature is
// good for, its request can be sent again, as with AWS.
//
// Files: verifier.go is the order of the checks, parse.go reads what a request
// says of its signature, canonical.go writes the text that was signed, sign.go
// signs it, body.go finds the hash of the body, config.go and identity.go are
// the keys and what they may do, issue.go makes temporary ones.
package sigv4
