package wsconn_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/runnelhq/runnel/internal/wsconn"
)

// BenchmarkBroadcast writes the same message of 100 bytes to many clients, and
// waits until all have it. The clients' work is in the figures.
func BenchmarkBroadcast(b *testing.B) {
	for _, frames := range []int{1, 10} {
		for name, write := range map[string]func(c *wsconn.Conn, f []byte) error{
			"send":  func(c *wsconn.Conn, f []byte) error { return c.Send(f) },
			"write": func(c *wsconn.Conn, f []byte) error { return c.Write(c.Context(), f) },
		} {
			b.Run(fmt.Sprintf("%s/%d in a write", name, frames), func(b *testing.B) { broadcast(b, frames, write) })
		}
	}
}

func broadcast(b *testing.B, frames int, write func(*wsconn.Conn, []byte) error) {
	const clients = 100
	conns := wsconn.NewConns(wsconn.Config{})
	opened := make(chan *wsconn.Conn, clients)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = conns.Serve(w, req, func(c *wsconn.Conn) {
			opened <- c
			_, _ = c.Read()
		})
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var others, got sync.WaitGroup
	others.Go(func() { _ = srv.Serve(ln) })
	batch := bytes.Repeat(frame(string(bytes.Repeat([]byte("x"), 100))), frames)
	var all []*wsconn.Conn
	for range clients {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.WriteString(conn, handshake+"\r\n")
		all = append(all, <-opened)
		head := make([]byte, 1)
		for n := 0; n < 4; { // the blank line
			if _, err := conn.Read(head); err != nil {
				b.Fatal(err)
			}
			if head[0] == '\r' || head[0] == '\n' {
				n++
			} else {
				n = 0
			}
		}
		others.Go(func() {
			defer conn.Close()
			buf := make([]byte, len(batch))
			for {
				if _, err := io.ReadFull(conn, buf); err != nil {
					return
				}
				got.Done()
			}
		})
	}
	b.ReportAllocs()
	messages := 0
	for b.Loop() {
		got.Add(clients)
		for _, c := range all {
			if err := write(c, batch); err != nil {
				b.Fatal(err)
			}
		}
		got.Wait()
		messages += clients * frames
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/message")
	_ = srv.Close()
	for _, c := range all {
		c.Close(wsconn.Normal, "")
	}
	others.Go(func() { _ = conns.End(b.Context()) })
	others.Wait()
}
