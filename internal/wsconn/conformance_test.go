package wsconn_test

import (
	"net"
	"testing"

	"github.com/runnelhq/runnel/internal/wsconn"
	"github.com/runnelhq/runnel/internal/wsconn/wstest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	r := start(t, listen(t), wsconn.Config{}, echo)
	wstest.Run(t, wstest.Door{Dial: func() (net.Conn, error) { return net.Dial("tcp", r.ln.Addr().String()) }})
}
