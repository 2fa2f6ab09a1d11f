package gqlapi

import (
	_ "embed" // for the schema
	"slices"
	"time"
)

// BuiltinName is what the built-in schema is called in messages.
const BuiltinName = "builtin.graphql"

// Builtin is the schema that is served when none is configured.
//
//go:embed builtin.graphql
var Builtin string

const (
	defaultLocale   = "en_US"
	defaultInterval = 150 * time.Millisecond
	// referenceGroup is the group of the reference implementation, which sends
	// when there are more than five.
	referenceGroup = 6
)

// WithDefaults returns the API with what it leaves open.
func (a API) WithDefaults() API {
	if a.Locale == "" {
		a.Locale = defaultLocale
	}
	if a.GroupInterval <= 0 {
		a.GroupInterval = defaultInterval
	}
	if len(a.Schema) > 0 {
		return a
	}
	a.Fields = slices.Concat(builtinFields(), a.Fields)
	return a
}

// DefaultNamespaces returns the namespaces that exist when none are configured.
func DefaultNamespaces() []Namespace {
	return []Namespace{{Name: "default"}, {Name: "sessions", Sessions: true}}
}

func builtinFields() []Binding {
	const (
		message = `{"sessionId":"$session","message":"$text","locale":"$locale","timeStamp":"$time"}`
		token   = `{"sessionId":"$session","token":"$text","isComplete":"$done","timestamp":"$time"}`
	)
	return []Binding{
		{
			Field: "Query.getLlmResponse", Do: Submit, Session: "input.sessionId", Text: "input.message", Locale: "input.locale",
			Result: `{"sessionId":"$session","locale":"$locale","messages":[{"content":"success","contentType":"PlainText"}]}`,
		},
		{
			Field: "Mutation.sendMessage", Do: Publish, Session: "input.sessionId", Text: "input.message", Locale: "input.locale",
			Markers: true, Result: message,
		},
		{Field: "Subscription.onSendMessage", Do: View, Session: "sessionId", Markers: true, Group: referenceGroup, Result: message},

		{Field: "Mutation.ModelSet", Do: Submit, Fixed: "chat", Text: "prompt", Optional: true, Result: "true"},
		{Field: "Mutation.sendChunk", Do: Publish, Fixed: "chat", Text: "chunk", Result: "$text"},
		{Field: "Subscription.chat", Do: View, Fixed: "chat", Result: "$text"},

		{
			Field: "Mutation.startStream", Do: Submit, Text: "prompt",
			Result: `{"sessionId":"$session","status":"streaming_started","timestamp":"$time"}`,
		},
		{Field: "Mutation.publishToken", Do: Publish, Session: "sessionId", Text: "token", Done: "isComplete", Result: token},
		{Field: "Subscription.onTokenReceived", Do: View, Session: "sessionId", End: true, Result: token},

		{Field: "Query.session", Do: Session, Session: "session"},
		{
			Field: "Mutation.submitPrompt", Do: Submit, Session: "input.session", Text: "input.prompt", Model: "input.model",
			System: "input.system", Key: "input.key",
			Result: `{"session":"$session","generation":"$generation","cursor":"$cursor","repeated":"$repeated"}`,
		},
		{Field: "Mutation.cancelGeneration", Do: Cancel, Text: "generation"},
		{Field: "Subscription.sessionEvents", Do: Events, Session: "session", After: "after"},
	}
}
