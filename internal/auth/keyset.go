package auth

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are those that tokens may be signed with. They are all asymmetric:
// with an HMAC an issuer's public key would be a secret.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	}
}

// Sizes of RSA moduli: shorter ones are weak, longer ones make work.
const (
	minModulus = 2048
	maxModulus = 8192
)

// keys are an issuer's public keys by their ids. They are never changed.
type keys map[string]jose.JSONWebKey

// find returns the key that a token names. A token that names none means the
// only one.
func (ks keys) find(id string) (jose.JSONWebKey, bool) {
	if id == "" && len(ks) == 1 {
		for _, k := range ks {
			return k, true
		}
	}
	k, ok := ks[id]
	return k, ok && id != ""
}

// parseKeys reads a JSON Web Key Set. Keys of kinds or for uses that are not
// ours are left out; that none remains is an error.
func parseKeys(data []byte) (keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys; the limit is %d", len(set.Keys), maxKeys)
	}
	ks := make(keys, len(set.Keys))
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err == nil && usable(k) {
			ks[k.KeyID] = k
		}
	}
	if len(ks) == 0 {
		return nil, errors.New("the key set has no RSA or EC key for signatures")
	}
	return ks, nil
}

func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minModulus && key.N.BitLen() <= maxModulus
	case *ecdsa.PublicKey:
		return true
	}
	return false
}

// fits reports whether a key may have made a signature with this algorithm.
func fits(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	curves := map[string]string{"P-256": string(jose.ES256), "P-384": string(jose.ES384), "P-521": string(jose.ES512)}
	if key, ok := k.Key.(*ecdsa.PublicKey); ok {
		return curves[key.Curve.Params().Name] == alg
	}
	return alg[0] != 'E'
}
