package natslog_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/cert"
	"github.com/runnelhq/runnel/internal/natslog"
)

// TestTLS connects to a server that wants to see a certificate and a password.
func TestTLS(t *testing.T) {
	t.Parallel()
	files, err := cert.Develop(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(root)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		Username: "runnel", Password: "secret",
		TLS: true, TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientCAs: trusted, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	url := "tls://runnel:secret@" + s.Addr().String()
	e := open(t, natslog.Config{URL: url, CA: files.CA, Cert: files.Cert, Key: files.Key})
	put(t, e, "s", "0")
	want(t, e, "s", runnel.Cursor{}, "0")

	for what, c := range map[string]natslog.Config{
		"an unknown authority": {URL: url, Cert: files.Cert, Key: files.Key},
		"no certificate":       {URL: url, CA: files.CA},
		"a wrong password":     {URL: "tls://runnel:guess@" + s.Addr().String(), CA: files.CA, Cert: files.Cert, Key: files.Key},
	} {
		if e, err := natslog.Open(t.Context(), c); err == nil {
			_ = e.Close()
			t.Errorf("accepted with %s", what)
		}
	}
}
