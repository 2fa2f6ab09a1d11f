package sigv4

import "github.com/runnelhq/runnel"

// A Code is the name that AWS gives to a refusal. Doors that speak for an AWS
// service answer with it.
type Code string

// The codes. All are of kind Unauthenticated but the last, which is Denied.
const (
	MissingToken     Code = "MissingAuthenticationTokenException" // no signature at all
	Incomplete       Code = "IncompleteSignatureException"        // one that cannot be read
	UnknownClient    Code = "UnrecognizedClientException"         // no such access key or session token
	ExpiredToken     Code = "ExpiredTokenException"               // the access key has ended
	RequestExpired   Code = "RequestExpired"                      // the presigned URL has ended
	InvalidSignature Code = "InvalidSignatureException"           // not what the key would have signed, or when
	AccessDenied     Code = "AccessDeniedException"               // a good signature of a key that may not do this
)

// An Error is a refusal. It wraps a [*runnel.Error].
type Error struct {
	Code Code
	err  *runnel.Error
}

// Error returns the code and what is wrong.
func (e *Error) Error() string { return string(e.Code) + ": " + e.err.Error() }

// Unwrap returns the error with its kind and public message.
func (e *Error) Unwrap() error { return e.err }

func refuse(code Code, format string, args ...any) *Error {
	kind := runnel.Unauthenticated
	if code == AccessDenied {
		kind = runnel.Denied
	}
	return &Error{Code: code, err: runnel.Errorf(kind, format, args...)}
}

// mismatch is the refusal that says nothing about what differed.
func mismatch() *Error {
	return refuse(InvalidSignature, "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}
