package auth

import "github.com/runnelhq/runnel"

func newSigner(k AccessKey, l *lease) *runnel.Principal {
	return &runnel.Principal{
		ID: "iam:" + k.ID, Service: !k.User, Scheme: SchemeIAM, Grants: granted(k.Grants, nil), Revoked: l.done(),
	}
}

// withSignature authenticates a caller who shows an AWS signature.
func (st *state) withSignature(c Credentials) (*runnel.Principal, error) {
	id, err := st.iam(c)
	if err != nil {
		reason := reasonSignature
		if runnel.KindOf(err) == runnel.Denied {
			reason = reasonScope
		}
		return nil, refuse(SchemeIAM, reason, err)
	}
	p, ok := st.signers[id]
	if !ok {
		return nil, refuse(SchemeIAM, reasonUnknown, errBad())
	}
	return p, nil
}
