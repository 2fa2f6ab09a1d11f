// Package upstream is what the providers share: one policy for calls to model
// servers, and one loop that turns an answer into deltas.
//
//   - A connection is kept and used again after a whole answer, and closed at
//     once after anything else: nobody pays for tokens that nobody reads.
//   - There is no timeout here for an answer as a whole. How long a model may
//     think, or be silent, is for the caller to say, through its context.
//   - Whatever goes wrong becomes a [runnel.Error] whose text is ours. What the
//     model server said about it is kept, bounded and without the key, for the
//     log; it may hold anything, so clients never see it.
//   - Redirects are not followed, or a key could travel to another host.
//
// The files: client.go makes calls, answer.go is the loop, frames.go cuts a body
// into frames, errors.go classifies.
package upstream
