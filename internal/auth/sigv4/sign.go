package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"sync"
)

// maxDerived bounds the derived keys that are kept. A gateway sees a few
// regions and services a day for each access key.
const maxDerived = 1024

// A scope is what a derived key is good for.
type scope struct{ accessKey, date, region, service string }

// derivedKeys keeps the keys that have made good signatures; deriving one costs
// more than all the rest of a verification.
type derivedKeys struct {
	mu   sync.RWMutex
	keys map[scope][]byte
}

func (d *derivedKeys) get(s scope) []byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.keys[s]
}

func (d *derivedKeys) put(s scope, key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Yesterday's keys are most of what there is to lose.
	if d.keys == nil || len(d.keys) >= maxDerived {
		d.keys = make(map[scope][]byte)
	}
	d.keys[s] = key
}

func derive(secret string, s scope) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, terminator} {
		key = sum(key, []byte(part))
	}
	return key
}

func sum(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// signs reports whether the claim's signature is the key's for the request.
func (c *claim) signs(key, request []byte) bool {
	digest := sha256.Sum256(request)
	text := make([]byte, 0, 256)
	text = append(text, algorithm+"\n"...)
	text = append(text, c.stamp...)
	text = append(text, '\n')
	for _, part := range []string{c.date, c.region, c.service} {
		text = append(text, part...)
		text = append(text, '/')
	}
	text = append(text, terminator+"\n"...)
	text = hex.AppendEncode(text, digest[:])
	want := hex.AppendEncode(make([]byte, 0, 64), sum(key, text))
	return subtle.ConstantTimeCompare(want, []byte(c.signature)) == 1
}
