// Package route resolves the model that a prompt asks for to the providers that
// may answer it, in order of preference.
//
// Operators name models by specs such as "openai/gpt-5-mini" or
// "echo?ttft=100ms" (see [ParseSpec]); clients ask for a route's name, or for a
// spec's name, which has no settings and so gives nothing away. A [Table] is
// built once, at start-up, and never changes.
package route
