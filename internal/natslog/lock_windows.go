package natslog

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes an exclusive lock that ends with the process at the latest.
func lockFile(name string) (unlock func() error, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{}); err != nil {
		_ = f.Close() // the lock's error is the one to tell
		return nil, err
	}
	return f.Close, nil
}
