//go:build linux && cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// diskSize is that of a NATS server's disk.
const diskSize = "1g"

// mount gives a NATS server a disk of its own.
func mount(t *testing.T, folder string) error {
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+diskSize); err != nil {
		return fmt.Errorf("mount a disk at %s: %w", folder, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	return nil
}

// fill leaves nothing of a disk, until free is called.
func fill(folder string) (free func() error, err error) {
	name := filepath.Join(folder, "somebody-elses")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		return nil, errors.Join(fmt.Errorf("the disk is not full: %w", err), f.Close())
	}
	_ = f.Close() // it has said that the disk is full
	return func() error { return os.Remove(name) }, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// fillLeader fills the disk of the server that leads the log. It has to be started
// again when there is room: a server that could not write leaves JetStream.
func fillLeader(ctx context.Context, r *rig) error {
	i, err := r.Leader(ctx, "RUNNEL_LOG")
	if err != nil {
		return err
	}
	free, err := fill(r.Stores[i])
	if err != nil {
		return err
	}
	err = wait(ctx, 15*time.Second)
	if err := free(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	r.NATS[i].Kill()
	return r.NATS[i].Start(ctx)
}
