package config

import (
	"cmp"
	"reflect"
	"time"

	"github.com/runnelhq/runnel/internal/auth"
	"github.com/runnelhq/runnel/internal/auth/sigv4"
	"github.com/runnelhq/runnel/internal/function"
	"github.com/runnelhq/runnel/internal/gqlapi"
	"github.com/runnelhq/runnel/internal/limit"
	"github.com/runnelhq/runnel/internal/peer"
	"github.com/runnelhq/runnel/internal/wsapi"
)

// Config is every setting of a node. The tags of a field are its definition:
//
//	name     in kebab case; flag, variable and file key follow from it
//	default  as a user would write it; empty is the zero value
//	group    heads the setting in --help and in the printed configuration
//	help     one sentence, without its full stop
//	arg      stands for the value in --help
//	min max  limits, as a user would write them
//	oneof    the allowed words
//	only     "file": the setting has neither flag nor variable
//	live     "yes": a running node takes a new value when it reloads
type Config struct {
	Listen       string        `name:"listen" default:"127.0.0.1:8080" group:"Node" arg:"HOST:PORT" help:"Where to listen; port 0 takes a free one"`
	Role         string        `name:"role" default:"all" oneof:"all gateway worker" group:"Node" arg:"ROLE" help:"What the node does of a cluster's work: gateways serve clients, workers run generations"`
	Insecure     bool          `name:"insecure" group:"Node" help:"Listen beyond this machine although no credentials are configured"`
	DataDir      string        `name:"data-dir" default:"./runnel-data" group:"Node" arg:"DIR" help:"Folder of the durable log"`
	DrainTimeout time.Duration `name:"drain-timeout" default:"30s" min:"100ms" max:"1h" group:"Node" arg:"TIME" help:"How long running generations may take to end when the node stops"`
	LogLevel     string        `name:"log-level" default:"info" oneof:"debug info warn error" group:"Node" arg:"LEVEL" help:"The least important level that is logged"`
	LogFormat    string        `name:"log-format" default:"auto" oneof:"auto text json" group:"Node" arg:"FORMAT" help:"How log lines look; auto is text on a terminal and JSON elsewhere"`

	OTLPEndpoint string `name:"otlp-endpoint" group:"Node" arg:"URL" help:"Where traces go: a collector that speaks OTLP over HTTP; the OTEL_* variables count, too"`

	TLSCert        string        `name:"tls-cert" group:"Port" arg:"FILE" help:"Certificate, with its chain, for TLS on the same port; read again when it changes"`
	TLSKey         string        `name:"tls-key" group:"Port" arg:"FILE" help:"Its key"`
	DevTLS         bool          `name:"dev-tls" group:"Port" help:"Do TLS with a certificate for development, made in the data folder"`
	TrustedProxies []string      `name:"trusted-proxies" group:"Port" arg:"NETWORK,..." help:"Proxies that are believed when they say for whom they ask; networks or addresses"`
	MaxConnections int           `name:"max-connections" default:"0" min:"0" max:"10000000" group:"Port" arg:"N" help:"How many connections may be open at once; 0 is as many as there may be open files, with some left for the log"`
	HeaderTimeout  time.Duration `name:"header-timeout" default:"10s" min:"100ms" max:"10m" group:"Port" arg:"TIME" help:"How long the head of a request may take, and the beginning of TLS"`
	BodyTimeout    time.Duration `name:"body-timeout" default:"30s" min:"100ms" max:"1h" group:"Port" arg:"TIME" help:"How long the body of a request may take"`
	IdleTimeout    time.Duration `name:"idle-timeout" default:"2m" min:"100ms" max:"24h" group:"Port" arg:"TIME" help:"How long a connection may be kept without a request"`

	Keys    []auth.Key    `name:"keys" only:"file" live:"yes" group:"Access" help:"API keys, by their hashes; \"runnel key new\" makes one"`
	Issuers []auth.Issuer `name:"issuers" only:"file" live:"yes" group:"Access" help:"OIDC providers and Cognito user pools whose tokens are accepted"`
	Webhook *auth.Webhook `name:"webhook" only:"file" live:"yes" group:"Access" help:"Who decides about all other credentials, as a Lambda authorizer does"`
	IAM     sigv4.Config  `name:"iam" only:"file" live:"yes" group:"Access" help:"Access keys for requests with an AWS signature"`

	Limits limit.Config `name:"limits" only:"file" live:"yes" group:"Limits" help:"How much each caller may use: a default, and rules for some"`

	Model             []string            `name:"model" default:"echo" group:"Models" arg:"PROVIDER/MODEL?SETTINGS" help:"The default model; further ones, after commas, take over when it fails"`
	Models            map[string][]string `name:"models" only:"file" group:"Models" help:"Named routes: what clients may ask for by name, and which models answer, in order of preference"`
	Retries           int                 `name:"retries" default:"2" min:"0" max:"10" group:"Models" arg:"N" help:"How often a call is repeated on the same model before its first token"`
	Attempts          int                 `name:"attempts" default:"5" min:"1" max:"100" group:"Models" arg:"N" help:"After how many crashed workers a prompt fails for good"`
	FirstTokenTimeout time.Duration       `name:"first-token-timeout" default:"60s" min:"100ms" max:"1h" group:"Models" arg:"TIME" help:"How long a model may take to its first token"`
	TokenTimeout      time.Duration       `name:"token-timeout" default:"60s" min:"100ms" max:"1h" group:"Models" arg:"TIME" help:"How long a model may be silent between two tokens"`
	TotalTimeout      time.Duration       `name:"total-timeout" default:"15m" min:"1s" max:"24h" group:"Models" arg:"TIME" help:"How long a generation may take"`
	PublishTimeout    time.Duration       `name:"publish-timeout" default:"60s" min:"100ms" max:"1h" group:"Models" arg:"TIME" help:"How long whoever publishes an answer from outside may be silent before it fails"`

	SessionMode    string        `name:"session-mode" default:"queue" oneof:"queue reject parallel" group:"Sessions" arg:"MODE" help:"What becomes of a prompt whose session is busy"`
	HistoryTurns   int           `name:"history-turns" default:"20" min:"0" max:"1000" group:"Sessions" arg:"N" help:"How many earlier turns go along with a prompt"`
	MaxPrompt      Size          `name:"max-prompt" default:"1MiB" min:"1KiB" max:"4MiB" group:"Sessions" arg:"SIZE" help:"The longest prompt that is accepted"`
	MaxGenerations int           `name:"max-generations" default:"1024" min:"1" max:"10000" group:"Sessions" arg:"N" help:"How many generations may run on this node at once; the others wait"`
	Retention      time.Duration `name:"retention" default:"72h" min:"1m" max:"87600h" group:"Sessions" arg:"TIME" help:"How long events can be read again"`
	TurnRetention  time.Duration `name:"turn-retention" default:"0s" min:"0s" max:"87600h" group:"Sessions" arg:"TIME" help:"How long finished turns are kept; 0 is for ever"`

	FlushChunks   int           `name:"flush-chunks" default:"64" min:"1" max:"4096" group:"Delivery" arg:"N" help:"How many tokens may be joined to one event"`
	FlushInterval time.Duration `name:"flush-interval" default:"20ms" min:"0s" max:"10s" group:"Delivery" arg:"TIME" help:"How long a token may wait to be joined with others; the first never waits"`
	Heartbeat     time.Duration `name:"heartbeat" default:"15s" min:"100ms" max:"10m" group:"Delivery" arg:"TIME" help:"How often a quiet stream shows that it lives"`
	WriteTimeout  time.Duration `name:"write-timeout" default:"150s" min:"100ms" max:"10m" group:"Delivery" arg:"TIME" help:"How long a viewer may block a write before it is cut off"`
	CORSOrigins   []string      `name:"cors-origins" group:"Delivery" arg:"ORIGIN,..." help:"Web origins whose pages may use this node; * is any"`

	OpenAIDisconnect string `name:"openai-disconnect" default:"auto" oneof:"auto cancel continue" group:"Doors" arg:"POLICY" help:"What becomes of an answer whose OpenAI client disconnects; auto stops it unless the client has named a session"`

	BedrockModels     []ModelID `name:"bedrock-models" only:"file" group:"Doors" help:"Model ids that Bedrock clients ask for, and the routes or models that answer them; an id that ends with * stands for all that begin so"`
	BedrockDisconnect string    `name:"bedrock-disconnect" default:"auto" oneof:"auto cancel continue" group:"Doors" arg:"POLICY" help:"The same for Bedrock clients"`

	WebSocketAPIs           []wsapi.API   `name:"websocket-apis" only:"file" group:"WebSocket" help:"APIs in the manner of API Gateway: hosts, stages, routes and their handlers; one with the stages dev and prod if there are none"`
	WebSocketIdleTimeout    time.Duration `name:"websocket-idle-timeout" default:"10m" min:"0s" max:"168h" group:"WebSocket" arg:"TIME" help:"After what time without a message a WebSocket is closed; 0 is never"`
	WebSocketLifetime       time.Duration `name:"websocket-lifetime" default:"2h" min:"0s" max:"8760h" group:"WebSocket" arg:"TIME" help:"How long a WebSocket may last; 0 is for ever"`
	WebSocketHandlerTimeout time.Duration `name:"websocket-handler-timeout" default:"29s" min:"0s" max:"15m" group:"WebSocket" arg:"TIME" help:"After what time the client hears that a handler is late; 0 is never"`
	WebSocketConnectRate    int           `name:"websocket-connect-rate" default:"500" min:"0" max:"1000000" group:"WebSocket" arg:"N" help:"How many WebSockets may be opened in a second; 0 is any number"`
	WebSocketMaxMessage     Size          `name:"websocket-max-message" default:"128KiB" min:"1KiB" max:"512KiB" group:"WebSocket" arg:"SIZE" help:"The longest message, either way"`
	WebSocketMaxFrame       Size          `name:"websocket-max-frame" default:"512KiB" min:"1KiB" max:"512KiB" group:"WebSocket" arg:"SIZE" help:"The longest frame of a message that is accepted; API Gateway takes 32KiB"`
	WebSocketCountPings     bool          `name:"websocket-count-pings" group:"WebSocket" help:"Let a client's pings and pongs count as messages for the idle timeout"`

	GraphQL         gqlapi.API         `name:"graphql" only:"file" group:"GraphQL" help:"The schema of the GraphQL door and what its fields do, in the manner of AppSync; a built-in one if there is none"`
	EventNamespaces []gqlapi.Namespace `name:"event-namespaces" only:"file" group:"GraphQL" help:"Channel namespaces of AppSync Events; default, and sessions for the channels that show a session, if there are none"`

	Functions []function.Config `name:"functions" only:"file" group:"Functions" help:"Handlers written for AWS Lambda: processes, functions behind an Invoke API, or URLs"`

	Lex Lex `name:"lex" only:"file" group:"Functions" help:"Who answers the texts of a Lex Web UI, and who gets credentials for it"`

	NATSURL      []string `name:"nats-url" group:"NATS" arg:"URL,..." help:"Use these NATS servers for the log in place of the one inside"`
	NATSCreds    string   `name:"nats-creds" group:"NATS" arg:"FILE" help:"Credentials file for them"`
	NATSCA       string   `name:"nats-ca" group:"NATS" arg:"FILE" help:"Authorities to trust for TLS with them, in place of the system's"`
	NATSCert     string   `name:"nats-cert" group:"NATS" arg:"FILE" help:"Certificate to show them"`
	NATSKey      string   `name:"nats-key" group:"NATS" arg:"FILE" help:"Its key"`
	NATSReplicas int      `name:"nats-replicas" default:"0" min:"0" max:"5" group:"NATS" arg:"N" help:"On how many of them everything is stored; 0 is three of a cluster, and one otherwise"`
}

// The values of [Config.Role].
const (
	All     = "all"
	Gateway = "gateway"
	Worker  = "worker"
)

// A ModelID is a model's name at Amazon Bedrock, and what stands for it here.
type ModelID struct {
	ID    string `yaml:"id"`
	Model string `yaml:"model"` // as clients of other doors ask for it
}

// Lex is how clients of Amazon Lex are served.
type Lex struct {
	Function string `yaml:"function"` // that fulfills; empty: a model
	Model    string `yaml:"model"`    // empty: the default one
	System   string `yaml:"system"`   // the model's system prompt
	// Guests get credentials for Lex and the WebSocket without showing any.
	Guests bool `yaml:"guests"`
	// Secret seals these credentials. Nodes that share it accept each other's;
	// without it they end with the process.
	Secret sigv4.Secret `yaml:"secret"`
	Table  string       `yaml:"table"` // the table of connections; empty: runnel-streaming
	// UI is a folder with the files of a Lex Web UI, served under /lex/.
	UI string `yaml:"ui"`
	// Stage is that of the WebSocket API that the UI connects to; empty: Prod.
	Stage string `yaml:"stage"`
}

// WebSocketStage returns l.Stage or its default.
func (l *Lex) WebSocketStage() string { return cmp.Or(l.Stage, "Prod") }

// Auth returns who may use the node, but for those who sign their requests.
func (c *Config) Auth() auth.Config {
	return auth.Config{Keys: c.Keys, Issuers: c.Issuers, Webhook: c.Webhook, Origins: c.Origins()}
}

// Origins returns the sites whose pages may use the node. It ignores what
// Validate refuses.
func (c *Config) Origins() peer.Origins {
	origins, _ := peer.ParseOrigins(c.CORSOrigins)
	return origins
}

// Proxies returns the proxies that are believed. It ignores what Validate refuses.
func (c *Config) Proxies() peer.Proxies {
	proxies, _ := peer.ParseProxies(c.TrustedProxies)
	return proxies
}

// TLS reports whether the port is to do TLS.
func (c *Config) TLS() bool { return c.DevTLS || c.TLSCert != "" }

// Authenticates reports whether callers must show credentials.
func (c *Config) Authenticates() bool { return c.Auth().Enabled() || len(c.IAM.Keys) > 0 }

// Updated returns c with those values of next that a running node can take, and
// the names of the settings that differ otherwise: they need a restart.
func (c Config) Updated(next *Config) (updated Config, restart []string) {
	for _, s := range Settings() {
		switch from, to := s.value(next), s.value(&c); {
		case s.Live:
			to.Set(from)
		case !reflect.DeepEqual(from.Interface(), to.Interface()):
			restart = append(restart, s.Name)
		}
	}
	return c, restart
}

// Default returns the configuration that holds when nobody sets anything.
func Default() Config {
	var c Config
	for _, s := range Settings() {
		if s.Default == "" {
			continue
		}
		if err := s.set(&c, []string{s.Default}); err != nil {
			panic("config: bad default of " + s.Name + ": " + err.Error())
		}
	}
	return c
}
