package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/cert"
	"github.com/runnelhq/runnel/internal/config"
)

// TestCertificateReload renews a node's certificate, badly and well.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	mine, next := developed(t), developed(t)
	cfg := settings(t, "echo?ttft=0s&tps=0")
	cfg.TLSCert, cfg.TLSKey = mine.Cert, mine.Key
	node, l := start(t, cfg)
	defer func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	}()
	reload := func() { node.Reload(func() (*config.Config, error) { return &cfg, nil }) }
	shows := func(f cert.Files) error {
		conn, err := tls.Dial("tcp", node.Addr().String(), &tls.Config{RootCAs: pool(t, f.CA)})
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := shows(mine); err != nil {
		t.Fatal(err)
	}
	move(t, next.Cert, mine.Cert) // without its key
	reload()
	if !strings.Contains(l.String(), "the new certificate is refused, the present one stays") {
		t.Errorf("the log does not say so:\n%s", l)
	}
	if err := shows(mine); err != nil {
		t.Errorf("after half a renewal: %v", err)
	}
	move(t, next.Key, mine.Key)
	reload()
	if err := shows(next); err != nil {
		t.Errorf("after a renewal: %v", err)
	}
}

func developed(t *testing.T) cert.Files {
	t.Helper()
	f, err := cert.Develop(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	return roots
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
