package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// errNoProc says that the system does not tell about processes in /proc.
var errNoProc = errors.New("this system does not tell about other processes")

// ticksPerSecond is the unit of times in /proc, on every Linux that Go runs on.
const ticksPerSecond = 100

// resident returns the process's memory in bytes.
func (p *process) resident() (int64, error) {
	text := field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmRSS")
	kib, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	if err != nil {
		return 0, errNoProc
	}
	return kib << 10, nil
}

// cpuOf returns how long a process has computed. Its precision is a hundredth
// of a second.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, errNoProc
	}
	// The name, in parentheses, may hold anything; the times in user and in
	// system mode are the 12th and 13th field after it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, errNoProc
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

const (
	settleEvery = 250 * time.Millisecond
	settleTries = 60
)

// settle returns the process's memory once it has not fallen for some time. A
// gateway has no door by which to ask for a garbage collection, so it is made
// to collect by work that leaves garbage and nothing else: reading its metrics.
func (p *process) settle(ctx context.Context, steadyFor time.Duration) (int64, error) {
	lowest, steady := int64(0), time.Duration(0)
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for range settleTries {
		for range 20 {
			resp, err := get(ctx, p.url.JoinPath("metrics"))
			if err != nil {
				return 0, fmt.Errorf("bench: read metrics of %s: %w", p.role, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		now, err := p.resident()
		if err != nil {
			return 0, err
		}
		// One part in two hundred is noise.
		if lowest == 0 || now < lowest-lowest/200 {
			lowest, steady = now, 0
		} else if steady += settleEvery; steady >= steadyFor {
			return now, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return lowest, nil
}
