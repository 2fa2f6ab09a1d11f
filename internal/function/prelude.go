package function

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"strings"

	"github.com/runnelhq/runnel"
)

// IntegrationType is the content type of an answer that begins with a [Head].
const IntegrationType = "application/vnd.awslambda.http-integration-response"

// maxHead bounds the part of an answer in front of its body.
const maxHead = 64 << 10

// A Head is what an answer over HTTP has in front of its body.
type Head struct {
	Status  int                 `json:"statusCode"`
	Headers map[string]string   `json:"headers"`
	Multi   map[string][]string `json:"multiValueHeaders"`
	Cookies []string            `json:"cookies"`
}

// headEnd lies between head and body.
const headEnd = "\x00\x00\x00\x00\x00\x00\x00\x00"

// ReadHead takes the head off an answer of type [IntegrationType]: a JSON object
// and eight NUL bytes. It returns the beginning of the body that came along with
// it. The error is that of r, or Invalid.
func ReadHead(r io.Reader) (Head, []byte, error) {
	var head Head
	buf := make([]byte, 0, 4<<10)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), maxHead+len(headEnd))])
		from := max(0, len(buf)-len(headEnd)+1) // the end may have been cut in two
		buf = buf[:len(buf)+n]
		if i := bytes.Index(buf[from:], []byte(headEnd)); i >= 0 {
			body := buf[from+i+len(headEnd):]
			if err := json.Unmarshal(buf[:from+i], &head); err != nil {
				return head, nil, runnel.Errorf(runnel.Invalid, "the head of the answer is not JSON").Because(err)
			}
			return head, body, nil
		}
		switch {
		case err == io.EOF:
			return head, nil, runnel.Errorf(runnel.Invalid, "the answer ends within its head")
		case err != nil:
			return head, nil, err
		case len(buf) >= maxHead+len(headEnd):
			return head, nil, runnel.Errorf(runnel.Invalid, "the head of the answer is longer than %d bytes", maxHead)
		}
	}
}

// Integrates reports whether an answer of the content type begins with a [Head].
func Integrates(contentType string) bool {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return strings.EqualFold(mediaType, IntegrationType)
}
