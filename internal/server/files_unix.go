//go:build unix

package server

import "syscall"

// openFiles returns how many files the process may have open.
func openFiles() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return maxOpenFiles
	}
	return int64(min(uint64(limit.Cur), maxOpenFiles)) //nolint:unconvert // signed on some systems
}
