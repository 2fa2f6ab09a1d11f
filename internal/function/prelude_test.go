package function_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/function"
)

const nuls = "\x00\x00\x00\x00\x00\x00\x00\x00"

func TestReadHead(t *testing.T) {
	t.Parallel()
	const head = `{"statusCode":201,"headers":{"Content-Type":"text/plain"},"cookies":["a=b"],"multiValueHeaders":{"X":["1","2"]}}`
	want := function.Head{
		Status: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=b"}, Multi: map[string][]string{"X": {"1", "2"}},
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"half":         iotest.HalfReader,
		"with the end": iotest.DataErrReader,
	} {
		r := wrap(strings.NewReader(head + nuls + "the \x00 body"))
		got, begin, err := function.ReadHead(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rest, _ := io.ReadAll(r)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if text := string(begin) + string(rest); text != "the \x00 body" {
			t.Errorf("%s: the body is %q", name, text)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "no end": head, "half an end": head + nuls[:7], "no JSON": "hello" + nuls, "too long": strings.Repeat("x", 70<<10) + nuls,
	} {
		if _, _, err := function.ReadHead(strings.NewReader(text)); runnel.KindOf(err) != runnel.Invalid {
			t.Errorf("%s: got %v, want an Invalid error", name, err)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	f.Add([]byte("{}"+nuls+"body"), 3)
	f.Add([]byte(`{"statusCode":200}`+nuls[:5]), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		r := &pieces{data: data, size: max(1, size%64)}
		_, begin, err := function.ReadHead(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		head, body, found := bytes.Cut(data, []byte(nuls))
		if !found || !json.Valid(head) || !bytes.Equal(append(begin, rest...), body) {
			t.Fatalf("read a head off %q, and the body %q", data, append(begin, rest...))
		}
	})
}

// pieces gives out its data in pieces of one size.
type pieces struct {
	data []byte
	size int
}

func (p *pieces) Read(buf []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}
