package function

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// group makes a process the leader of a group of its own, and has the kernel
// kill it when we die, however we die. The kernel looks at the thread that
// started it, so that must live as long as we do: see launch.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// launch starts processes on one thread until requests is closed.
func launch(requests <-chan startRequest) {
	runtime.LockOSThread() // for ever: the thread ends with this goroutine, and with it the processes
	for r := range requests {
		r.err <- r.cmd.Start()
	}
}

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

func terminateGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// expendable has the kernel take a function rather than us when there is no
// memory left.
func expendable(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("500"), 0)
}

// memoryInterval is how often a process's memory is looked at. What it takes in
// between is not seen.
const memoryInterval = 100 * time.Millisecond

// watchMemory kills the process when it, together with its children, has more
// memory than it may have.
func (pr *process) watchMemory() {
	limit := int64(pr.pool.cfg.Memory) << 20
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-pr.exited:
			return
		case <-ticker.C:
		}
		if used := resident(pr.cmd.Process.Pid, 0); used > limit {
			pr.kill(newFailure(typeMemory, "Error: Runtime exited with error: signal: killed: it had %d MiB of memory, and may have %d", used>>20, pr.pool.cfg.Memory))
			return
		}
	}
}

// resident returns how much memory a process and its children have.
func resident(pid, depth int) int64 {
	const maxDepth = 16
	dir := fmt.Sprintf("/proc/%d", pid)
	statm, err := os.ReadFile(dir + "/statm")
	if err != nil {
		return 0 // it is gone
	}
	var size, pages int64
	_, _ = fmt.Sscan(string(statm), &size, &pages)
	total := pages * int64(os.Getpagesize())
	threads, err := os.ReadDir(dir + "/task")
	if err != nil || depth == maxDepth {
		return total
	}
	for _, thread := range threads {
		children, err := os.ReadFile(dir + "/task/" + thread.Name() + "/children")
		if err != nil {
			continue
		}
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				total += resident(id, depth+1)
			}
		}
	}
	return total
}
