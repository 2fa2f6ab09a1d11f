package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

const (
	headerHash = "X-Amz-Content-Sha256"
	unsigned   = "UNSIGNED-PAYLOAD"
)

// payloads returns the hashes that the signature may be over, the likely one
// first.
func (r Request) payloads(s service) ([]string, error) {
	declared, ok := r.one(headerHash)
	switch {
	case !ok:
		return nil, refuse(Incomplete, "There is more than one x-amz-content-sha256 header.")
	case declared == unsigned && s.unsignedBody:
		return []string{unsigned}, nil
	case declared != "" && !isHash(declared):
		return nil, refuse(InvalidSignature, "The body must be signed: x-amz-content-sha256 must be its SHA-256.")
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = r.Body(); err != nil {
			return nil, fmt.Errorf("sigv4: read body: %w", err)
		}
	}
	hash := hashOf(body)
	if declared != "" {
		if declared != hash {
			return nil, refuse(InvalidSignature, "The provided x-amz-content-sha256 header does not match what was computed.")
		}
		return []string{hash}, nil
	}
	hashes := []string{hash}
	if s.apollo {
		if signed, ok := apolloBody(body); ok {
			hashes = append(hashes, hashOf(signed))
		}
	}
	return hashes, nil
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// apolloBody returns what aws-appsync-auth-link signed for a body that Apollo's
// client has since put "extensions" into: the other three members, in an order
// of its own. ok is false for any body that can be read in two ways or has
// anything else: extensions are then the only thing that nobody signed.
func apolloBody(body []byte) (signed []byte, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	members := map[string]json.RawMessage{"operationName": nil, "variables": nil, "query": nil, "extensions": nil}
	for dec.More() {
		t, err := dec.Token()
		name, isString := t.(string)
		if seen, known := members[name]; err != nil || !isString || !known || seen != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, false
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, false
	}
	signed = append(signed, '{')
	for _, name := range []string{"operationName", "variables", "query"} {
		if members[name] == nil {
			continue
		}
		if len(signed) > 1 {
			signed = append(signed, ',')
		}
		signed = append(signed, '"')
		signed = append(signed, name...)
		signed = append(signed, `":`...)
		signed = append(signed, members[name]...)
	}
	return append(signed, '}'), members["query"] != nil
}
