package check_test

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// targets are the systems that a release is made for. Those that are left out of a
// short run have nothing of their own: no file that the others do not compile.
var targets = []struct {
	system, arch string
	short        bool
}{
	{"linux", "amd64", true}, {"linux", "arm64", false}, {"darwin", "amd64", false}, {"darwin", "arm64", true},
}

// TestBinaries builds what is released.
func TestBinaries(t *testing.T) {
	t.Parallel()
	page := []byte(read(t, root, "internal/web/static/page/index.html"))
	for _, target := range targets {
		name := target.system + "-" + target.arch
		if testing.Short() && !target.short {
			continue
		}
		t.Run(name, func(t *testing.T) { // one after the other: each takes all processors
			path := filepath.Join(t.TempDir(), "runnel")
			if err := build(path, target.system, target.arch); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(data, page) {
				t.Error("it is without the chat page")
			}
			var libraries []string
			if target.system == "linux" {
				libraries = linuxLibraries(t, data)
			} else {
				libraries = darwinLibraries(t, data)
			}
			t.Logf("%d MB, libraries %v", len(data)>>20, libraries)
		})
	}
}

// linuxLibraries fails unless the binary is static.
func linuxLibraries(t *testing.T, data []byte) []string {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	needs, err := file.ImportedLibraries()
	if err != nil || len(needs) > 0 {
		t.Errorf("it needs %v, %v", needs, err)
	}
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("it needs a loader")
	}
	return needs
}

// darwinLibraries fails if the binary needs what is not on every Mac; there is no
// static binary there.
func darwinLibraries(t *testing.T, data []byte) []string {
	file, err := macho.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	needs, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range needs {
		if !strings.HasPrefix(library, "/usr/lib/") && !strings.HasPrefix(library, "/System/Library/") {
			t.Errorf("it needs %s", library)
		}
	}
	return needs
}
