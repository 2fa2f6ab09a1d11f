package obs

import "strings"

// What OpenTelemetry's semantic conventions call things. Those for generative AI
// are still in development and leave Go's constants with every other release of
// these, so the few that are used here are here.
const (
	keyOperation      = "gen_ai.operation.name"
	keyProvider       = "gen_ai.provider.name"
	keyRequestModel   = "gen_ai.request.model"
	keyRequestStream  = "gen_ai.request.stream"
	keyResponseModel  = "gen_ai.response.model"
	keyFinishReasons  = "gen_ai.response.finish_reasons"
	keyFirstChunk     = "gen_ai.response.time_to_first_chunk" // in seconds
	keyConversation   = "gen_ai.conversation.id"
	keyInputTokens    = "gen_ai.usage.input_tokens"
	keyOutputTokens   = "gen_ai.usage.output_tokens"
	keyCacheRead      = "gen_ai.usage.cache_read.input_tokens"
	keyCacheWrite     = "gen_ai.usage.cache_creation.input_tokens"
	keyReasoning      = "gen_ai.usage.reasoning.output_tokens"
	keyErrorType      = "error.type"
	keyServiceName    = "service.name"
	keyServiceVersion = "service.version"
	keyInstance       = "service.instance.id"

	operationChat = "chat"
)

// Ours, for which there is no convention.
const (
	keyGeneration = "runnel.generation.id"
	keyAttempt    = "runnel.attempt"
	keyTry        = "runnel.try"
	keyNode       = "runnel.node"
	keyModel      = "runnel.model"
)

// providerModel takes a model's name apart: as the conventions call its
// provider, and as the provider calls it.
func providerModel(name string) (provider, model string) {
	provider, model, found := strings.Cut(name, "/")
	if !found {
		return name, name
	}
	if provider == "bedrock" {
		provider = "aws.bedrock"
	}
	return provider, model
}
