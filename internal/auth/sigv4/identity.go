package sigv4

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/runnelhq/runnel"
)

// An Identity is who signed a request, and for what.
type Identity struct {
	AccessKey string
	Service   string
	Region    string

	key *credential
}

// A credential is a key in use.
type credential struct {
	Key
	revoked   chan struct{} // closed by Reload when the key is changed or gone
	principal string        // empty: named by its access key
}

// Allow returns an [AccessDenied] error unless the key may do the action, such
// as execute-api:ManageConnections. Verify has already made sure that the key
// may do something with the service.
func (i *Identity) Allow(action string) error {
	if len(i.key.Actions) == 0 || slices.ContainsFunc(i.key.Actions, func(pattern string) bool { return matches(pattern, action) }) {
		return nil
	}
	return denied(i.AccessKey, action)
}

// allowService is Allow for a door that does not know the action yet.
func (c *credential) allowService(service string) error {
	if len(c.Actions) == 0 || slices.ContainsFunc(c.Actions, func(pattern string) bool {
		of, _, _ := strings.Cut(pattern, ":")
		return matches(of, service)
	}) {
		return nil
	}
	return denied(c.AccessKey, service+":*")
}

// matches compares as IAM does: without regard to case.
func matches(pattern, s string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(s))
	return ok && err == nil
}

func denied(accessKey, action string) error {
	return refuse(AccessDenied, "User: %s is not authorized to perform: %s", accessKey, action)
}

// Principal returns the caller as the rest of the gateway knows it.
func (i *Identity) Principal() *runnel.Principal {
	return &runnel.Principal{
		ID:      cmp.Or(i.key.principal, "iam:"+i.AccessKey),
		Service: !i.key.User,
		Scheme:  "sigv4",
		Groups:  i.key.Groups,
		Grants:  i.key.Grants,
		Expires: i.key.Expires,
		Revoked: i.key.revoked,
	}
}
