package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// exposure is how open the unit may be, of 100, as systemd-analyze counts.
const exposure = "11"

func TestUnit(t *testing.T) {
	t.Parallel()
	text := read(t, deploy, "systemd/runnel.service")
	path := filepath.Join(t.TempDir(), "runnel.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/bin/runnel", binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	// What it does not understand it only says.
	if said, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("verify: %v\n%s", err, said)
	}
	said, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+exposure, path).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, said)
	}
	_, overall, _ := strings.Cut(string(said), "→ ")
	t.Log(overall)

	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\S+)$`).FindStringSubmatch(text)[1]
	patient, err := time.ParseDuration(stop)
	if err != nil {
		t.Fatal(err)
	}
	// The default, and then the steps after the drain.
	drain := regexp.MustCompile(`drain_timeout: (\S+)`).FindStringSubmatch(accept(t, "{}", nil))
	if wait, err := time.ParseDuration(drain[1]); err != nil || patient < wait+30*time.Second {
		t.Errorf("systemd waits %v for a drain of %v, %v", patient, wait, err)
	}
	for _, setting := range regexp.MustCompile(`RUNNEL_\w+=\S+`).FindAllString(text, -1) {
		accept(t, "{}", []string{setting})
	}
}
