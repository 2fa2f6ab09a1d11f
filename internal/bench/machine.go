package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A Machine is what a run was made on, and with.
type Machine struct {
	CPU     string // model; empty if unknown
	Cores   int
	Memory  int64 // bytes; 0 if unknown
	System  string
	Load    string // average of the last minute, before the run; empty if unknown
	Go      string
	Version string // of runnel
	Date    time.Time
}

func thisMachine(version string) Machine {
	m := Machine{
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), Version: version, Date: time.Now().UTC(),
	}
	m.CPU = field("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib << 10
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		// What follows the version is the distribution's own business.
		number, _, _ := strings.Cut(string(bytes.TrimSpace(release)), "-")
		m.System = "Linux " + number + " " + runtime.GOARCH
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// field returns the value of the first line "name : value" of a file in /proc;
// empty if there is none, as on other systems.
func field(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String describes the machine in a sentence.
func (m Machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "unknown processor"
	}
	parts := []string{fmt.Sprintf("%s, %d cores", cpu, m.Cores)}
	if m.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%.1f GiB", float64(m.Memory)/(1<<30)))
	}
	parts = append(parts, m.System, m.Go, "Runnel "+m.Version, m.Date.Format("2006-01-02 15:04 UTC"))
	if m.Load != "" {
		parts = append(parts, "load average before it "+m.Load)
	}
	return strings.Join(parts, "; ") + "."
}
