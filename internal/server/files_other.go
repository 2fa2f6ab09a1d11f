//go:build !unix

package server

// openFiles returns how many files the process may have open.
func openFiles() int64 { return maxOpenFiles }
