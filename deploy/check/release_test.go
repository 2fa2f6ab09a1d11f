package check_test

import (
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRelease holds the GoReleaser configuration to what is tested here. Whether
// GoReleaser takes it, `goreleaser check` knows; it is too heavy to build each time.
func TestRelease(t *testing.T) {
	t.Parallel()
	var config struct {
		Builds []struct {
			Main                              string
			Env, GOOS, GOARCH, Flags, LDFlags []string
		}
		Dockers []struct {
			Platforms []string
			BuildArgs map[string]string `json:"build_args"`
		} `json:"dockers_v2"`
		SBOMs, Archives []any
	}
	if err := yaml.Unmarshal([]byte(read(t, root, ".goreleaser.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	b := config.Builds[0]
	if len(b.GOOS)*len(b.GOARCH) != len(targets) {
		t.Errorf("it releases %v × %v", b.GOOS, b.GOARCH)
	}
	for _, target := range targets {
		if !slices.Contains(b.GOOS, target.system) || !slices.Contains(b.GOARCH, target.arch) {
			t.Errorf("%s/%s is not released", target.system, target.arch)
		}
	}
	if b.Main != "./cmd/runnel" || !slices.Equal(b.Env, []string{"CGO_ENABLED=0"}) || !slices.Contains(b.Flags, "-trimpath") || !slices.Equal(b.LDFlags, []string{"-s -w"}) {
		t.Errorf("it builds otherwise than build() here: %+v", b)
	}
	if len(config.SBOMs) == 0 || len(config.Archives) == 0 {
		t.Error("there are no archives, or nothing says what is in them")
	}
	if d := config.Dockers[0]; !slices.Equal(d.Platforms, []string{"linux/amd64", "linux/arm64"}) || d.BuildArgs["BINARY"] != "released" {
		t.Errorf("the images are %+v", d)
	}
}
