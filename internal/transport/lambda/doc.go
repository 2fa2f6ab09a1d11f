// Package lambda is the two doors of functions: the Invoke API that AWS SDKs
// call, and function URLs.
//
// The Invoke API (invoke.go, stream.go):
//
//   - POST /2015-03-31/functions/{name}/invocations answers with the whole result;
//     with X-Amz-Invocation-Type: Event with 202 before the function runs, and with
//     DryRun with 204. A function that fails is a 200 with X-Amz-Function-Error.
//   - POST /2021-11-15/functions/{name}/response-streaming-invocations answers with
//     frames as they come, the last of which says how it ended.
//   - A name may be an ARN or part of one; account, region and qualifier are not
//     looked at.
//   - Services may call functions, not users: what a function may do is not
//     bounded by who calls it. A caller with grants needs submit for every session.
//   - What a client began goes on when the client leaves, as on Lambda; a stream
//     for a few seconds only, and then its process is killed.
//
// Function URLs (url.go, event.go, answer.go, cors.go):
//
//   - Everything under /functions/{name} goes to the function of that name, if it
//     has a url in the configuration, as an event in the format of payload 2.0.
//   - A buffered answer is the object with statusCode, or becomes a 200. A streamed
//     one may begin with a head and eight NULs, which give status, headers and
//     cookies; every piece is flushed.
//   - A failure is 502 until the first byte, and a broken connection after it.
//   - A function with CORS settings never sees a preflight, and pages of other
//     origins do not get to it. Without them it sees everything, unless it is one
//     for whoever may use the other doors: pages of other origins may not then.
package lambda
