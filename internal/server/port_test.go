package server_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/cert"
	"github.com/runnelhq/runnel/internal/provider/echo"
	"github.com/runnelhq/runnel/internal/server"
)

// certificate returns the two sides of TLS: the port's settings, and those of a
// client that trusts it.
func certificate(t *testing.T) (port, client *tls.Config) {
	t.Helper()
	files, err := cert.Develop(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := cert.Open(files.Cert, files.Key, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return store.Config(), &tls.Config{RootCAs: roots}
}

// client returns one that speaks exactly one version of HTTP.
func client(t *testing.T, trust *tls.Config, version int) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: trust.Clone(), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(version == 1)
	transport.Protocols.SetHTTP2(version == 2)
	transport.Protocols.SetUnencryptedHTTP2(version == 2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestOnePort speaks everything that the port understands, and follows a stream
// in each.
func TestOnePort(t *testing.T) {
	t.Parallel()
	g := open(t, echo.New(echo.Config{TPS: 1000, Tokens: 3}), bare)
	settings, trust := certificate(t)
	r := run(t, server.Config{Doors: g.doors, TLS: settings, EndTimeout: time.Second})
	for _, tt := range []struct {
		scheme  string
		version int
	}{{"http", 1}, {"http", 2}, {"https", 1}, {"https", 2}} {
		c := client(t, trust, tt.version)
		base := strings.Replace(r.url, "http", tt.scheme, 1)
		for range 2 { // the second time on the same connection
			resp, err := c.Post(base+"/", "application/json", strings.NewReader(`{"prompt":"why?"}`))
			if err != nil {
				t.Fatalf("%+v: %v", tt, err)
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || len(text) == 0 || resp.ProtoMajor != tt.version || (resp.TLS != nil) != (tt.scheme == "https") {
				t.Errorf("%+v: %s %s %q, %v", tt, resp.Proto, resp.Status, text, err)
			}
			resp, err = c.Get(base + "/v1/sessions/" + resp.Header.Get("Runnel-Session") + "/events")
			if err != nil {
				t.Fatalf("%+v: %v", tt, err)
			}
			if err := readTo(bufio.NewReader(resp.Body), "event: generation.done"); err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			_ = resp.Body.Close()
		}
	}
}

// dial connects, and says text.
func (r running) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

const ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

// answered waits for the first line of an answer.
func answered(t *testing.T, conn net.Conn) {
	t.Helper()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// cut waits until the other side closes the connection.
func cut(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); len(rest) > 0 {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestSilentClients: those who say nothing are cut off when their time is over,
// with TLS half-way too, and make room before that.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	settings, _ := certificate(t)
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		r := run(t, server.Config{TLS: settings, HeaderTimeout: 20 * time.Millisecond})
		for _, said := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01", "G"} {
			_, _ = io.ReadAll(r.dial(t, said)) // comes to an end
		}
	})
	t.Run("room", func(t *testing.T) {
		t.Parallel()
		r := run(t, server.Config{MaxConnections: 3, HeaderTimeout: time.Hour})
		oldest, _, _ := r.dial(t, ""), r.dial(t, ""), r.dial(t, "")
		speaks := r.dial(t, ask)
		answered(t, speaks)
		cut(t, oldest)
	})
}

// TestTooManyConnections: what speaks is not cut off for others.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	r := run(t, server.Config{MaxConnections: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	first, second := r.dial(t, ask), r.dial(t, ask)
	answered(t, first)
	answered(t, second)
	third, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	cut(t, third)
	if !strings.Contains(log.String(), "too many connections") {
		t.Error("the log does not say so")
	}
	_ = first.Close()
	for { // the server learns of it when it reads
		conn := r.dial(t, "")
		_, _ = io.WriteString(conn, ask)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		_ = conn.Close()
		if strings.HasPrefix(line, "HTTP/1.1 200") {
			break
		}
	}
	if _, err := io.WriteString(second, ask); err != nil {
		t.Error(err)
	}
	answered(t, second)
}
