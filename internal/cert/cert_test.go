package cert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runnelhq/runnel/internal/cert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func develop(t *testing.T, dir string, now time.Time, hosts ...string) cert.Files {
	t.Helper()
	f, err := cert.Develop(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDevelop(t *testing.T) {
	t.Parallel()
	now, dir := time.Now(), filepath.Join(t.TempDir(), "tls")
	hosts := []string{"localhost", "*.localhost", "127.0.0.1", "::1"}
	f := develop(t, dir, now, hosts...)
	first := read(t, f.CA)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(first) {
		t.Fatal("the authority is no certificate")
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "chat.localhost", "127.0.0.1", "::1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if pair.Leaf.IsCA {
		t.Error("the certificate is an authority's: Firefox and rustls refuse such a server")
	}
	info, err := os.Stat(f.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("in the folder: %v, %v", entries, err)
	}

	for name, change := range map[string]struct {
		do    func()
		now   time.Time
		hosts []string
		kept  bool
	}{
		"again":          {now: now, hosts: hosts, kept: true},
		"fewer hosts":    {now: now, hosts: hosts[:1], kept: true},
		"another host":   {now: now, hosts: []string{"chat.example.com"}},
		"nearly expired": {now: now.Add(340 * 24 * time.Hour), hosts: hosts},
		"another key":    {do: func() { copyFile(t, develop(t, t.TempDir(), now, hosts...).Key, f.Key) }, now: now, hosts: hosts},
		"half written":   {do: func() { copyFile(t, develop(t, t.TempDir(), now, hosts...).CA, f.CA) }, now: now, hosts: hosts},
		"no key":         {do: func() { _ = os.Remove(f.Key) }, now: now, hosts: hosts},
	} {
		t.Run(name, func(t *testing.T) {
			before := read(t, develop(t, dir, now, hosts...).CA)
			if change.do != nil {
				change.do()
				before = read(t, f.CA)
			}
			if kept := bytes.Equal(read(t, develop(t, dir, change.now, change.hosts...).CA), before); kept != change.kept {
				t.Errorf("kept: %t, want %t", kept, change.kept)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, read(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shown returns the certificate that a client gets now.
func shown(t *testing.T, s *cert.Store) []byte {
	t.Helper()
	c, err := s.Config().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Certificate[0]
}

func TestReload(t *testing.T) {
	t.Parallel()
	now := time.Now()
	mine, other := develop(t, t.TempDir(), now, "localhost"), develop(t, t.TempDir(), now, "localhost")
	expired := develop(t, t.TempDir(), now.Add(-400*24*time.Hour), "localhost")
	early := develop(t, t.TempDir(), now.Add(24*time.Hour), "localhost")
	s, err := cert.Open(mine.Cert, mine.Key, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before := shown(t, s)
	for _, bad := range []struct {
		name, want string
		from       cert.Files
		damage     func()
	}{
		{"another key", "private key does not match", cert.Files{Cert: other.Cert, Key: mine.Key}, nil},
		{"expired", "it expired at", expired, nil},
		{"not yet valid", "it is not valid before", early, nil},
		{"not PEM", "failed to find any PEM data", other, func() { _ = os.WriteFile(mine.Cert, []byte("hello"), 0o600) }},
		{"gone", "no such file", other, func() { _ = os.Remove(mine.Key) }},
		{"endless", "more than", other, func() { _ = os.WriteFile(mine.Cert, make([]byte, 2<<20), 0o600) }},
	} {
		if bad.from.Key != mine.Key {
			copyFile(t, bad.from.Key, mine.Key)
		}
		copyFile(t, bad.from.Cert, mine.Cert)
		if bad.damage != nil {
			bad.damage()
		}
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %v, want %q", bad.name, err, bad.want)
		}
		if !bytes.Equal(shown(t, s), before) {
			t.Fatalf("%s: the certificate has changed", bad.name)
		}
	}
	copyFile(t, other.Cert, mine.Cert)
	copyFile(t, other.Key, mine.Key)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(shown(t, s), before) {
		t.Error("the new certificate is not shown")
	}
}

// TestRunTakesUpChanges renews the files without a signal, as certbot does, the
// certificate first and the key after it.
func TestRunTakesUpChanges(t *testing.T) {
	t.Parallel()
	mine, other := develop(t, t.TempDir(), time.Now(), "localhost"), develop(t, t.TempDir(), time.Now(), "localhost")
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := cert.Open(mine.Cert, mine.Key, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		before := shown(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		copyFile(t, other.Cert, mine.Cert)
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if !bytes.Equal(shown(t, s), before) {
			t.Error("half a renewal is shown")
		}
		if n := strings.Count(log.String(), "is refused"); n != 1 {
			t.Errorf("%d complaints about the same files, want 1", n)
		}
		copyFile(t, other.Key, mine.Key)
		time.Sleep(time.Minute)
		synctest.Wait()
		if bytes.Equal(shown(t, s), before) {
			t.Error("the new certificate is not shown")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
