package httpapi_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/sse"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// volatile is what differs from run to run, and what a transcript has for it.
var volatile = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`01[0-9A-Z]{24}`), "GENERATION"},
	{regexp.MustCompile(`\b[a-z0-9]{8}-(\d+)\b`), "EPOCH-$1"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`(?m)^Date: .*`), "Date: TIME"},
	{regexp.MustCompile(`(?m)^retry: \d+`), "retry: WAIT"},
	{regexp.MustCompile(`(?m)^Content-Length: \d+`), "Content-Length: N"},
}

// TestTranscripts replays the requests in testdata, one after the other on the
// same session, and compares the responses to those beside them.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	r := start(t, says("Hello"), nil)
	names, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		const divider = "\n---\n"
		request, want, _ := strings.Cut(string(file), divider)
		got := exchange(t, strings.TrimPrefix(r.url, "http://"), request)
		if *update {
			if err := os.WriteFile(name, []byte(request+divider+got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// exchange sends a request, whose Content-Length it adds, and returns the
// response: without chunks, and no further than the end of a generation.
func exchange(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head, body, _ := strings.Cut(request, "\n\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	var out bytes.Buffer
	out.WriteString(resp.Proto + " " + resp.Status + "\n")
	if err := resp.Header.Write(&out); err != nil {
		t.Fatal(err)
	}
	out.WriteString("\n")
	seen := io.TeeReader(resp.Body, &out)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		readGeneration(t, seen)
	} else if _, err := io.ReadAll(seen); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(out.String(), "\r\n", "\n")
	for _, v := range volatile {
		text = v.re.ReplaceAllString(text, v.with)
	}
	return text
}

func readGeneration(t *testing.T, r io.Reader) {
	t.Helper()
	for frames := sse.NewReader(r, 1<<20); ; {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) || string(f.Type) == "generation.done" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
