package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	devLifetime = 365 * 24 * time.Hour
	// devRenew is what a certificate must have left when a node starts.
	devRenew = 30 * 24 * time.Hour
)

// Files are where a development certificate is.
type Files struct {
	CA   string // the authority that clients are to trust
	Cert string
	Key  string
}

// Develop returns the certificate for development in dir, good for hosts, which
// are names and addresses. It is made if there is none that will do: then
// clients must trust the new authority.
//
// The authority signs this one certificate; its key is thrown away, so that
// nobody can sign another one that a developer's machine trusts. A certificate
// that signs itself would be simpler, but Firefox and clients in Rust refuse a
// server that shows an authority's.
func Develop(dir string, hosts []string, now time.Time) (Files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Files{}, fmt.Errorf("cert: %w", err)
	}
	f := Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if f.serves(hosts, now.Add(devRenew)) {
		return f, nil
	}
	if err := f.make(hosts, now); err != nil {
		return Files{}, fmt.Errorf("cert: make a development certificate: %w", err)
	}
	return f, nil
}

// serves reports whether clients that trust the authority will accept the
// certificate for all hosts until then.
func (f Files) serves(hosts []string, then time.Time) bool {
	authority, err := readFile(f.CA)
	if err != nil {
		return false
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for _, host := range hosts {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: then}); err != nil {
			return false
		}
	}
	return true
}

func (f Files) make(hosts []string, now time.Time) error {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	// A little earlier: clocks differ.
	validity := x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(devLifetime), BasicConstraintsValid: true}
	authority, leaf := validity, validity
	authority.Subject = pkix.Name{CommonName: "Runnel development, made " + now.UTC().Format(time.RFC3339)}
	authority.IsCA, authority.MaxPathLenZero = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	leaf.Subject = pkix.Name{CommonName: "Runnel development"}
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	root, err := x509.CreateCertificate(rand.Reader, &authority, &authority, &signer.PublicKey, signer)
	if err != nil {
		return err
	}
	if parsed, err := x509.ParseCertificate(root); err != nil {
		return err
	} else {
		authority = *parsed // with the key's identifier, which strict clients look for
	}
	signed, err := x509.CreateCertificate(rand.Reader, &leaf, &authority, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return f.write(root, signed, private)
}

// write stores the three one after the other. A process that dies in between
// leaves a set that does not fit, and is made anew.
func (f Files) write(root, leaf, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.Key), 0o700); err != nil {
		return err
	}
	for _, part := range []struct {
		path, kind string
		der        []byte
		mode       os.FileMode
	}{
		{f.Key, "PRIVATE KEY", key, 0o600},
		{f.Cert, "CERTIFICATE", leaf, 0o644},
		{f.CA, "CERTIFICATE", root, 0o644},
	} {
		var text bytes.Buffer
		if err := pem.Encode(&text, &pem.Block{Type: part.kind, Bytes: part.der}); err != nil {
			return err
		}
		temporary := part.path + ".new"
		// What is left of an earlier try might be readable by others.
		if err := os.Remove(temporary); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.WriteFile(temporary, text.Bytes(), part.mode); err != nil {
			return err
		}
		if err := os.Rename(temporary, part.path); err != nil {
			return err
		}
	}
	return nil
}
