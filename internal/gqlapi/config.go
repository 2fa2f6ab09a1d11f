package gqlapi

import "time"

// What a root field can do.
const (
	Submit   = "submit"   // hand in a prompt
	Publish  = "publish"  // add a piece to an answer that is produced outside
	View     = "view"     // of subscriptions: show a session as it is answered
	Events   = "events"   // of subscriptions: show a session's events as they are
	Filter   = "filter"   // of subscriptions: show the mutations that pass a filter of one's own
	Cancel   = "cancel"   // stop a generation
	Session  = "session"  // what a session has said so far
	HTTP     = "http"     // ask an endpoint
	Function = "function" // ask a function
	Constant = "constant" // answer the same always: a NONE data source
)

// An API is a schema and what its fields do. The zero API is what
// [API.WithDefaults] makes of it.
type API struct {
	// Schema are files in GraphQL's schema definition language. None means the
	// built-in schema, and its bindings.
	Schema []string `yaml:"schema"`
	// Auth is AppSync's name of the mode that a caller must have where the schema
	// says nothing. Empty: the first that credentials are configured for.
	Auth string `yaml:"auth"`
	// NoIntrospection refuses to say what the schema is.
	NoIntrospection bool `yaml:"no_introspection"`
	// Locale is the language of error sentences where a prompt names none.
	Locale string `yaml:"locale"`
	// Strict shows subscribers only what happens after they have subscribed, as
	// AppSync does. Otherwise they get the answer in flight from its start.
	Strict bool `yaml:"strict"`
	// GroupInterval is how long a fragment may wait for its group to be full.
	GroupInterval time.Duration `yaml:"group_interval"`
	// Fields say what the root fields do. They come on top of the built-in ones if
	// the schema is built in.
	Fields []Binding `yaml:"fields"`
}

// A Binding says what a root field does. Session, Text, Locale, Model, System,
// Key and After are paths of arguments, such as input.sessionId.
type Binding struct {
	Field string `yaml:"field"` // such as Mutation.sendMessage
	Do    string `yaml:"do"`

	Session string `yaml:"session"` // empty: Fixed, or a fresh one
	Fixed   string `yaml:"fixed"`   // the session's name itself
	Text    string `yaml:"text"`
	// Optional lets a submit without text, or a publish without a session, do
	// nothing but answer.
	Optional bool   `yaml:"optional"`
	Locale   string `yaml:"locale"`
	Model    string `yaml:"model"`
	System   string `yaml:"system"`
	Key      string `yaml:"key"`   // makes it safe to repeat
	After    string `yaml:"after"` // of view and events: a cursor
	Done     string `yaml:"done"`  // of publish: true in the last piece

	// Markers: the text #START_STREAM#, #END_STREAM# or #STREAM_ERROR# begins or
	// ends an answer.
	Markers bool `yaml:"markers"`
	// End: the end of an answer is an event of its own, in which $done is true.
	End bool `yaml:"end"`
	// Group is how many fragments a view joins to one event; the first is never
	// held back. Zero is one.
	Group int `yaml:"group"`

	URL      string        `yaml:"url"`
	Function string        `yaml:"function"`
	Async    bool          `yaml:"async"` // do not wait for the function
	Timeout  time.Duration `yaml:"timeout"`

	// Invalidate says which subscriptions end when a mutation has succeeded.
	Invalidate []Invalidation `yaml:"invalidate"`

	// Result is a template of what the field returns, of what subscribers of a view
	// get, or of the filter, in the form of AppSync's setSubscriptionFilter: JSON,
	// or a bare text.
	Result string `yaml:"result"`
}

// An Invalidation ends the subscriptions of a field whose arguments are those of
// the payload, in the manner of AppSync's invalidateSubscriptions.
type Invalidation struct {
	Subscription string `yaml:"subscription"` // the field, such as onSendMessage
	// Payload is a template of an object. What it does not name may be anything.
	Payload string `yaml:"payload"`
}

// A Namespace is the first segment of the channels of AppSync Events.
type Namespace struct {
	Name string `yaml:"name"`
	// Sessions makes a channel /name/x one more view of the session x.
	Sessions bool `yaml:"sessions"`
	// Publish and Subscribe are the modes, as AppSync names them, of those who
	// may. None means all.
	Publish   []string `yaml:"publish"`
	Subscribe []string `yaml:"subscribe"`
}
