package apigateway_test

import (
	"testing"

	"github.com/runnelhq/runnel/internal/transport/apigateway"
)

// A token costs no allocation in any of the dialects once the buffer is there.
func TestTokensAllocateNothing(t *testing.T) {
	for name, text := range apigateway.Views() {
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { buf = text(buf[:0], "a token, “quoted”\n") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
