// Package api holds the description of the native API, for clients and for the
// server, which answers with it at /openapi.yaml.
package api

import _ "embed"

// OpenAPI is the description, in OpenAPI 3.1.
//
//go:embed openapi.yaml
var OpenAPI []byte
