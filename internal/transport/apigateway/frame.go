package apigateway

import "github.com/runnelhq/runnel/internal/wire"

// What error frames say; clients compare it.
const (
	saysInternal  = "Internal server error"
	saysForbidden = "Forbidden" // no route takes the message
	saysTimeout   = "Endpoint request timed out"
	saysTooMany   = "Too Many Requests"
	saysBadBody   = "Bad request body"

	saysMissingToken = "Missing Authentication Token" // over HTTP only
)

// appendError appends the payload of an error frame, with API Gateway's spaces.
// The management API answers with the same.
func appendError(dst []byte, message, connection, request string) []byte {
	dst = append(dst, `{"message": `...)
	dst = wire.AppendString(dst, message)
	dst = append(dst, `, "connectionId":`...)
	dst = wire.AppendString(dst, connection)
	dst = append(dst, `, "requestId":`...)
	dst = wire.AppendString(dst, request)
	return append(dst, '}')
}

// appendMember appends a member of a JSON object, behind a comma unless it is
// the first.
func appendMember(dst []byte, name, value string) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return wire.AppendString(dst, value)
}
