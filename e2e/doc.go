// Package e2e tests the real binary: started, killed and resumed, with real
// sockets, a model server that answers over HTTP, and clients that know nothing
// but the documented protocol.
package e2e
