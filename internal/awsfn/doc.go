// Package awsfn is what the Lambda functions under deploy/aws/functions have in
// common: the model that they ask with the gateway's own provider, the pieces in
// which they hand its answer on, and calls of other services that are signed
// and repeated.
//
// A function is killed when its time is over, and nothing that it holds back
// until then is ever said. So an answer is asked for with a deadline that leaves
// time to say that it was cut off.
//
//   - settings.go: what the environment says
//   - model.go: asks a model, and says its answer in groups
//   - call.go: signed calls, repeated while there is time
//   - posts.go: messages to the clients of a WebSocket API
//   - callers.go: who may ask
package awsfn
