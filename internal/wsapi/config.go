package wsapi

import "time"

// The routes that clients cannot name.
const (
	Connect    = "$connect"
	Disconnect = "$disconnect"
	Default    = "$default"
)

// The kinds of integration.
const (
	HTTP     = "http"     // POST the event to a URL, or a function, and take the proxy response
	Mock     = "mock"     // accept, and do nothing
	SendText = "sendtext" // answer with each fragment as a JSON string
	Stream   = "stream"   // answer with {"token","isComplete"}
	Lex      = "lex"      // answer with bare text
	Native   = "runnel"   // submit, subscribe, cancel
)

// The dialects of [Stream].
const (
	DialectToken = "token" // {"token","isComplete"}
	DialectTyped = "typed" // {"type":"token",…}, {"type":"complete",…}, {"type":"error",…}
)

// DefaultSelection selects routes unless an API says otherwise.
const DefaultSelection = "$request.body.action"

// An API has stages, at which clients connect, and routes, which their messages
// take.
type API struct {
	// Name is the apiId of its events.
	Name string `yaml:"name"`
	// Hosts are the names, without port, by which clients reach it. None means
	// all that no other API has.
	Hosts  []string `yaml:"hosts"`
	Stages []string `yaml:"stages"` // none: dev and prod
	// Root is the stage that is also served at the path /. It takes Hosts.
	Root      string  `yaml:"root"`
	Selection string  `yaml:"selection"` // of routes; empty: [DefaultSelection]
	Routes    []Route `yaml:"routes"`    // none: those of [Builtin]
}

// A Route is what becomes of some messages, or of connections when they begin
// and end.
type Route struct {
	Key         string `yaml:"key"`
	Integration string `yaml:"integration"`

	// For http.
	URL     string        `yaml:"url"`
	Timeout time.Duration `yaml:"timeout"` // zero: the node's
	// Async keeps quiet about a handler that takes longer than Timeout: it
	// streams its answer by the management API.
	Async bool `yaml:"async"`
	// Response sends the body of the handler's response to the client.
	Response bool `yaml:"response"`

	// For those that answer.
	Model   string `yaml:"model"`  // the route of a model; empty: the default
	System  string `yaml:"system"` // the model's instructions
	Dialect string `yaml:"dialect"`
}

// Builtin returns the API that serves clients when none is configured.
func Builtin() API {
	return API{Name: "runnel", Routes: []Route{
		{Key: "sendtext", Integration: SendText},
		{Key: "stream", Integration: Stream},
		{Key: "lex", Integration: Lex},
		{Key: "ping", Integration: Mock},
		{Key: "runnel", Integration: Native},
	}}
}

func (a API) withDefaults() API {
	if len(a.Stages) == 0 {
		a.Stages = []string{"dev", "prod"}
	}
	if a.Selection == "" {
		a.Selection = DefaultSelection
	}
	if len(a.Routes) == 0 {
		a.Routes = Builtin().Routes
	}
	return a
}
