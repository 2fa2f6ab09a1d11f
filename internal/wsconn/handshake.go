package wsconn

import (
	"crypto/sha1" //nolint:gosec // the protocol has it; nothing is kept secret by it
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// A HandshakeError refuses a request that asks for no WebSocket, or not rightly.
type HandshakeError struct {
	Status int
	Header http.Header // what belongs to the status; may be nil
	Msg    string      // for the client
}

// Error returns the message.
func (e *HandshakeError) Error() string { return "wsconn: " + e.Msg }

// refusal returns an error with one line of header.
func refusal(status int, key, value, msg string) *HandshakeError {
	return &HandshakeError{Status: status, Header: http.Header{key: {value}}, Msg: msg}
}

// Check returns why r cannot become a WebSocket (RFC 6455, section 4.2.1), which
// has nothing to do with whether the caller may have one. The error is nil or a
// [*HandshakeError].
func Check(r *http.Request) error {
	h := r.Header
	switch {
	case r.Method != http.MethodGet:
		return refusal(http.StatusMethodNotAllowed, "Allow", "GET", "a WebSocket is asked for with GET")
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refusal(http.StatusUpgradeRequired, "Upgrade", "websocket", "a WebSocket needs HTTP/1.1")
	case !hasToken(h["Connection"], "upgrade") || !hasToken(h["Upgrade"], "websocket"):
		return refusal(http.StatusUpgradeRequired, "Upgrade", "websocket", "this is a WebSocket: ask for the upgrade")
	case h.Get("Sec-Websocket-Version") != "13":
		return refusal(http.StatusUpgradeRequired, "Sec-Websocket-Version", "13", "the WebSocket version must be 13")
	case !validKey(h["Sec-Websocket-Key"]):
		return &HandshakeError{Status: http.StatusBadRequest, Msg: "Sec-WebSocket-Key must be 16 bytes in base64"}
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return &HandshakeError{Status: http.StatusBadRequest, Msg: "the request must have no body"}
	}
	return nil
}

// SameOrigin reports whether r comes from no web page or from one of ours. A
// browser lets any page open a WebSocket to anywhere, and a port that trusts
// whoever reaches it would be open to them all.
func SameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// Protocols returns the subprotocols that a client offers, in its order. It is
// lenient about what they are made of: AppSync's clients put base64 with its
// padding there.
func Protocols(r *http.Request) []string {
	var all []string
	for _, line := range r.Header["Sec-Websocket-Protocol"] {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.Trim(item, " \t"); item != "" {
				all = append(all, item)
			}
		}
	}
	return all
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

func validKey(keys []string) bool {
	if len(keys) != 1 || len(keys[0]) != 24 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(keys[0])
	return err == nil && len(key) == 16
}

// acceptKey proves to the client that its handshake was understood.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// appendHead appends the response that opens the connection.
func appendHead(dst []byte, key string, h http.Header) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, acceptKey(key)...)
	dst = append(dst, "\r\n"...)
	for name, values := range h {
		switch name {
		case "Upgrade", "Connection", "Sec-Websocket-Accept", "Content-Length", "Content-Type", "Transfer-Encoding":
			continue
		case "Sec-Websocket-Protocol":
			name = "Sec-WebSocket-Protocol" // some clients look for it to the letter
		}
		for _, v := range values {
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, headerValue.Replace(v)...)
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

// headerValue keeps a value on its line, as net/http does.
var headerValue = strings.NewReplacer("\n", " ", "\r", " ")
