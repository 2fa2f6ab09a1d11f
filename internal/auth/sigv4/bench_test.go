package sigv4_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnelhq/runnel/internal/auth/sigv4"
)

func BenchmarkVerify(b *testing.B) {
	header := http.Header{"Content-Type": {"application/json"}}
	body := strings.Repeat("x", 1024)
	for name, r := range map[string]*http.Request{
		"header":    call{url: "https://h/dev/@connections/AbC%3D", header: header, body: body}.sign(b),
		"presigned": call{url: "https://h/Prod?sessionId=1", expires: time.Hour, body: body}.sign(b),
	} {
		b.Run(name, func(b *testing.B) {
			v := newVerifier(b, noon(), sigv4.Config{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(v, r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
