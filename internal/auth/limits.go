package auth

import "time"

// Bounds on what is sent to us, and on what we keep.
const (
	maxName       = 128       // bytes of an API key's name
	maxKeyLength  = 1 << 10   // bytes of an API key
	maxToken      = 16 << 10  // bytes of a JWT
	maxSubject    = 256       // bytes of a principal's name at its issuer
	maxKeySet     = 256 << 10 // bytes of a key set or a discovery document
	maxKeys       = 64        // keys in a set
	maxAnswer     = 64 << 10  // bytes of a webhook's answer
	maxRemembered = 10_000    // verified tokens, and webhook answers
)

const (
	maxLeeway  = 5 * time.Minute
	maxTTL     = time.Hour // as in AppSync and API Gateway
	minTimeout = 100 * time.Millisecond
	maxTimeout = 30 * time.Second

	// defaultTimeout is a webhook's.
	defaultTimeout = 5 * time.Second
	// tokenMemory is how long a verified token is not verified again: for as
	// long it outlives the removal of its key from the issuer's set.
	tokenMemory = 5 * time.Minute
	// clockSkew is by how much an issuer's clock may be ahead of ours, so that
	// a token counts at once.
	clockSkew = 5 * time.Second
)
