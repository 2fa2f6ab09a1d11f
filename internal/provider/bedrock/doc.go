// Package bedrock speaks the Amazon Bedrock runtime: ConverseStream, which is
// the same for every model, or InvokeModelWithResponseStream, whose bodies are
// each model family's own. Behind the model's id, or its ARN, may stand
//
//	api=converse       or invoke; converse by default
//	family=llama       with invoke: the family, if the id does not tell it
//	region=us-west-2   instead of the ARN's or the environment's
//	endpoint=URL       instead of Amazon's
//	prefill=false      the model does not go on with the beginning of an answer; see package prefill
//
// Credentials, region and endpoint come from where the AWS SDK looks for them
// (AWS_PROFILE, AWS_BEARER_TOKEN_BEDROCK, AWS_ENDPOINT_URL_BEDROCK_RUNTIME, the
// container's role and so on); nothing is fetched before the first prompt.
//
// From the SDK come the configuration, the credentials and the signature. The
// request and the stream are read and written here, because the SDK's stream
// takes an answer that is cut off for one that has ended, shares unguarded
// state between concurrent answers, and costs three goroutines for each. Every
// stream must end with its vendor's terminal event, or it is an error.
//
// The files: config.go opens a model, client.go calls it, sign.go signs,
// errors.go classifies, answer.go is what the decoders have in common.
// family.go lists the families; converse.go and claude.go are the two that can
// do everything, text.go and chat.go the requests of the rest, decode.go their
// decoder.
package bedrock
