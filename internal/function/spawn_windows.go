package function

import "os/exec"

// There are no process groups and no requests to end here: what a process has
// started is left behind.
func group(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func terminateGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
