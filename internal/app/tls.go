package app

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/runnelhq/runnel/internal/cert"
)

// openCerts reads the certificate of the port, or makes one for development.
func (a *App) openCerts() (err error) {
	files := cert.Files{Cert: a.cfg.TLSCert, Key: a.cfg.TLSKey}
	if a.cfg.DevTLS {
		if files, err = cert.Develop(filepath.Join(a.cfg.DataDir, "tls"), devHosts(a.cfg.Listen), time.Now()); err != nil {
			return err
		}
	}
	a.certs, err = cert.Open(files.Cert, files.Key, time.Now, a.log)
	a.authority = files.CA
	return err
}

// devHosts returns by which names and addresses a developer may reach the node.
func devHosts(listen string) []string {
	hosts := []string{"localhost", "*.localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	host, _, _ := net.SplitHostPort(listen) // validated
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// tlsConfig returns nil if the port speaks plaintext only.
func (a *App) tlsConfig() *tls.Config {
	if a.certs == nil {
		return nil
	}
	return a.certs.Config()
}

// Authority returns the file that clients must trust for the development
// certificate; empty if there is none.
func (a *App) Authority() string { return a.authority }
