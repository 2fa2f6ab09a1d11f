package lex

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/runnelhq/runnel"
)

// maxPacked bounds what a packed header holds.
const maxPacked = 1 << 20

// recognizeUtterance is RecognizeText for those who could also speak. What it
// answers besides audio is in the response's header.
func (h *Handler) recognizeUtterance(w http.ResponseWriter, c *call) error {
	if media := c.Header.Get("Content-Type"); !strings.HasPrefix(media, "text/plain") {
		return runnel.Errorf(runnel.Invalid, "the input is %.60q; only text is understood here, no speech", media)
	}
	in := textRequest{Text: string(c.body)}
	if err := packed(c.Header, "Session-State", &in.State); err != nil {
		return err
	}
	if err := packed(c.Header, "Request-Attributes", &in.Attributes); err != nil {
		return err
	}
	out, err := h.recognize(c, &in)
	if err != nil {
		return err
	}
	head := w.Header()
	for name, v := range map[string]any{
		"Messages": out.Messages, "Interpretations": out.Interpretations, "Session-State": out.State,
		"Request-Attributes": out.Attributes, "Input-Transcript": in.Text,
	} {
		if err := setPacked(head, name, v); err != nil {
			return err
		}
	}
	head.Set("X-Amz-Lex-Input-Mode", "Text")
	head.Set("X-Amz-Lex-Session-Id", out.Session)
	head.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return nil
}

// packed reads a header that holds JSON, base64 of what gzip makes of it.
func packed(head http.Header, name string, v any) error {
	text := head.Get("X-Amz-Lex-" + name)
	if text == "" {
		return nil
	}
	wrong := runnel.Errorf(runnel.Invalid, "the header x-amz-lex-%s is not JSON in gzip in base64", strings.ToLower(name))
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return wrong.Because(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return wrong.Because(err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxPacked+1))
	if err != nil {
		return wrong.Because(err)
	}
	if len(plain) > maxPacked {
		return runnel.Errorf(runnel.Invalid, "the header x-amz-lex-%s holds more than %d bytes", strings.ToLower(name), maxPacked)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return wrong.Because(err)
	}
	return nil
}

// setPacked is the inverse of packed.
func setPacked(head http.Header, name string, v any) error {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	err := json.NewEncoder(z).Encode(v)
	if err == nil {
		err = z.Close()
	}
	head.Set("X-Amz-Lex-"+name, base64.StdEncoding.EncodeToString(out.Bytes()))
	return err
}
