package appsync

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/wsconn"
)

// The subprotocols.
const (
	protocolRealtime = "graphql-ws"           // AppSync's own
	protocolStandard = "graphql-transport-ws" // of the npm package graphql-ws
	protocolEvents   = "aws-appsync-event-ws"
)

const (
	headerProtocol = "header-"
	// maxHandshake bounds the header object: a token and a session token.
	maxHandshake = 32 << 10
)

// choose returns the first of the offered subprotocols that is known here; empty
// if there is none.
func choose(r *http.Request, known ...string) string {
	for _, offered := range wsconn.Protocols(r) {
		for _, name := range known {
			if offered == name {
				return name
			}
		}
	}
	return ""
}

// handshakeHeader returns the header object that a client has put into a
// subprotocol or into the query; nil if it did neither, and shows its credentials
// in ordinary headers. The error is of kind Invalid.
func handshakeHeader(r *http.Request) (map[string]string, error) {
	for _, offered := range wsconn.Protocols(r) {
		if coded, ok := strings.CutPrefix(offered, headerProtocol); ok {
			return decodeHeader(coded)
		}
	}
	if coded := r.URL.Query().Get("header"); coded != "" {
		// Not percent-encoded by its senders: a plus has become a space.
		return decodeHeader(strings.ReplaceAll(coded, " ", "+"))
	}
	return nil, nil
}

// decodeHeader reads base64 in either alphabet, padded or not.
func decodeHeader(coded string) (map[string]string, error) {
	coded = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(coded, "="))
	if len(coded) > maxHandshake {
		return nil, runnel.Errorf(runnel.Invalid, "the header object has more than %d bytes", maxHandshake)
	}
	data, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return nil, runnel.Errorf(runnel.Invalid, "the header object is not base64").Because(err)
	}
	return readHeader(data)
}

// readHeader reads a header object: the members that are strings.
func readHeader(data []byte) (map[string]string, error) {
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, runnel.Errorf(runnel.Invalid, "the header object is not a JSON object").Because(err)
	}
	header := make(map[string]string, len(members))
	for name, value := range members {
		if text, ok := value.(string); ok {
			header[name] = text
		}
	}
	return header, nil
}

// endpoint returns the path of the HTTP endpoint that belongs to a socket's.
func endpoint(r *http.Request) string {
	path := strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/realtime")
	if path == "" { // Apollo's link behind a proxy
		return "/graphql"
	}
	return path
}

// refuseHandshake answers a request that asks for no WebSocket, or not rightly.
func refuseHandshake(w http.ResponseWriter, err error) {
	bad, ok := errors.AsType[*wsconn.HandshakeError](err)
	if !ok {
		WriteError(w, err)
		return
	}
	for name, values := range bad.Header {
		w.Header()[name] = values
	}
	writeFailure(w, bad.Status, failure{Type: "BadRequestException", Message: bad.Msg})
}
