// Package app puts a node together and runs it. It is wiring and nothing else:
// providers.go lists the model vendors, transports.go the doors, and app.go
// starts the parts in the order engine, sessions, doors, listener, and stops
// them in reverse.
package app
