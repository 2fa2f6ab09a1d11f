package bench_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/bench"
)

func report() *bench.Report {
	return &bench.Report{
		Machine: bench.Machine{
			CPU: "Z80", Cores: 1, Memory: 48 << 10, System: "Linux 1.0 z80", Go: "go1.26", Version: "v1",
			Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Command: "runnel bench",
		Sections: []bench.Section{
			{
				Title: "First", How: "By hand.", Head: []string{"what", "how much"}, Rows: [][]string{{"a|b", "1\n2"}},
				Findings: []bench.Finding{
					{What: "speed", Figure: "3 ms", Target: "< 4 ms", Met: true},
					{What: "weight", Figure: "5 kg", Target: "< 4 kg"},
					{What: "colour", Figure: "blue"},
				},
			},
			{Title: "Second", How: "Not at all.", Head: []string{"what"}, Err: errors.New("the disk is full")},
		},
	}
}

const golden = `Z80, 1 cores; 0.0 GiB; Linux 1.0 z80; go1.26; Runnel v1; 2026-01-02 03:04 UTC.

Made by ` + "`runnel bench`" + `.

| what | figure | target |  |
| --- | --- | --- | --- |
| speed | 3 ms | < 4 ms | met |
| weight | 5 kg | < 4 kg | **missed** |
| colour | blue | – |  |

## First

By hand.

| what | how much |
| --- | --- |
| a\|b | 1 2 |

## Second

Not at all.

Not complete: the disk is full.
`

func TestWriteTo(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if _, err := report().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden, b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestWriteFileKeepsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "benchmarks.md")
	write := func() string {
		t.Helper()
		if err := report().WriteFile(name); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	first := write()
	if !strings.HasPrefix(first, "# Benchmarks\n") || !strings.Contains(first, "\n## What limits it\n") || !strings.Contains(first, "\n## Second\n") {
		t.Errorf("the new document lacks a part:\n%s", first)
	}
	edited := strings.Replace(first, "Nobody has said yet.", "The disk.", 1)
	edited = strings.Replace(edited, "3 ms", "9 ms", 1)
	if err := os.WriteFile(name, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(first, "Nobody has said yet.", "The disk.", 1)
	if diff := cmp.Diff(want, write()); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
}

func TestWriteFileSparesOtherDocuments(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "diary.md")
	if err := os.WriteFile(name, []byte("# Dear diary\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := report().WriteFile(name); err == nil {
		t.Error("a document without markers was overwritten")
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "# Dear diary\n" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	m := bench.ThisMachine("v1")
	if text := m.String(); m.Cores < 1 || !strings.Contains(text, "Runnel v1") || !strings.HasSuffix(text, ".") {
		t.Errorf("got %q", text)
	}
}
