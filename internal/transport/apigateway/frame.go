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
