// Package lex is the door for the Lex Web UI and for handlers that were written
// to stand behind it: the three services of AWS that such a page and such a
// handler call besides Lambda and Bedrock.
//
//	POST   /bots/…/sessions/{session}/text       RecognizeText
//	POST   /bots/…/sessions/{session}/utterance  RecognizeUtterance, of text
//	POST   /bots/…/sessions/{session}            PutSession
//	GET    /bots/…/sessions/{session}            GetSession
//	DELETE /bots/…/sessions/{session}            DeleteSession
//	POST   /bot/…/user/{session}/text            PostText, of Lex's first version
//	POST   /  X-Amz-Target: AWSCognitoIdentityService.GetId, .GetCredentialsForIdentity
//	POST   /  X-Amz-Target: DynamoDB_20120810.GetItem, .PutItem, .DeleteItem
//
// There is one bot, whatever it is called. Every text is fulfilled by a function,
// or by a model: then it is a prompt in the session that has the Lex session's
// name, with its history, and a WebSocket that follows that session shows the
// answer while it comes (package apigateway, integration lex at $connect). The
// answer of RecognizeText is the whole of it, as the final message.
//
//   - Session attributes are kept for the caller that set them, as notes, until
//     the session has been quiet for an hour or there are too many.
//   - A caller with issued credentials has sessions of its own, whatever its
//     client calls them; so have the connections that it opens.
//   - Repeated by the SDK, with the same invocation id, a text is answered once.
//   - Credentials are those of package sigv4's issuer: a user's, for Lex and for
//     what is signed for execute-api. Guests get them if the operator says so,
//     others for a token that the gateway accepts; their identity, and so what
//     they own, follows from who they are.
//   - The table is the gateway's list of connections: a row for each session
//     that has one, with its newest. It can be read and written by services that
//     may manage connections.
//   - No speech: audio is refused.
package lex
