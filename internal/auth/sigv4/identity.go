package sigv4

import (
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
	revoked chan struct{} // closed by Reload when the key is changed or gone
}

// Allow returns an [AccessDenied] error unless the key may do the action,
// such as execute-api:ManageConnections.
func (i *Identity) Allow(action string) error {
	if len(i.key.Actions) == 0 || slices.ContainsFunc(i.key.Actions, func(pattern string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(action))
		return ok && err == nil
	}) {
		return nil
	}
	return refuse(AccessDenied, "User: %s is not authorized to perform: %s", i.AccessKey, action)
}

// Principal returns the caller as the rest of the gateway knows it.
func (i *Identity) Principal() *runnel.Principal {
	return &runnel.Principal{
		ID:      "iam:" + i.AccessKey,
		Service: !i.key.User,
		Scheme:  "sigv4",
		Groups:  i.key.Groups,
		Grants:  i.key.Grants,
		Expires: i.key.Expires,
		Revoked: i.key.revoked,
	}
}
