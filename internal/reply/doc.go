// Package reply answers HTTP requests for doors that do not frame their failures
// in a way of their own: it knows the status of a failure, reads bodies within
// limits, and writes JSON.
package reply
