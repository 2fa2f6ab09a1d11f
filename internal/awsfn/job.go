package awsfn

// A Job is what a data source of AppSync queues: a prompt, and who waits for the
// answer. The first members are those of the published designs' messages.
type Job struct {
	Session string   `json:"session_id"`
	Locale  string   `json:"locale"`
	Message string   `json:"message"`
	History []string `json:"history"` // always empty, for readers that want it
	// Field is the one that was asked; by it the answer's mutation is known.
	Field string `json:"field"`
}

// The fields that take prompts.
const (
	FieldGetLlmResponse = "getLlmResponse" // answered by sendMessage
	FieldModelSet       = "ModelSet"       // answered by sendChunk
	FieldStartStream    = "startStream"    // answered by publishToken
)
