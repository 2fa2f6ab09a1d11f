package auth

import "github.com/runnelhq/runnel"

// withSignature authenticates a caller who shows an AWS signature.
func (st *state) withSignature(c Credentials) (*runnel.Principal, error) {
	p, err := st.signers(c)
	switch runnel.KindOf(err) {
	case runnel.Unauthenticated:
		return nil, refuse(SchemeSigV4, reasonSignature, err)
	case runnel.Denied:
		return nil, refuse(SchemeSigV4, reasonScope, err)
	default: // no error, or one of reading the body
		return p, err
	}
}
