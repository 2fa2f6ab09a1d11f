package bench_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel/internal/cli"
)

// roleVariable makes the test binary the program that is measured.
const roleVariable = "BENCH_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		os.Exit(cli.Run(os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}))
	}
	if err := os.Setenv(roleVariable, "child"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
