package session

import (
	"context"
	"strings"

	"github.com/runnelhq/runnel"
)

// An access is what a caller may see of a session.
type access uint8

const (
	// hidden: whatever the session holds, the caller is answered as if nobody
	// had ever used it.
	hidden access = iota
	// unowned: the session is nobody's. The first user to whom anything of it
	// is shown, or who adds to it, owns it from then on.
	unowned
	full
)

// nobodys is a session that nobody can use, as no valid id is empty. What is
// hidden is read from here: so it looks, to every method and with every cursor,
// as a session does in which nothing has happened.
const nobodys runnel.SessionID = ""

// owns reports whether p is of those to whom sessions belong: not a service,
// and not whoever came without being asked to authenticate.
func owns(p *runnel.Principal) bool { return p.ID != "" && !p.Service }

// granted reports whether p may do a to the session as far as can be said
// without asking the ledger. It is all that an owner's reads cost.
func (s *Service) granted(p *runnel.Principal, a runnel.Action, id runnel.SessionID) bool {
	if !p.May(a, id) || !owns(p) {
		return p.May(a, id)
	}
	owner, _ := s.owners.get(id)
	return owner == p.ID
}

// administers reports whether p, who has a name, may do a to everybody's sessions.
func administers(p *runnel.Principal, a runnel.Action, id runnel.SessionID) bool {
	return p.ID != "" && id != nobodys && (a == runnel.Read || a == runnel.Cancel) && p.May(runnel.Admin, id)
}

// access finds out what the caller of ctx may see of a session. It costs all
// users but the owner one look-up, whatever comes of it, so that the time it
// takes does not tell a hidden session from one that does not exist.
func (s *Service) access(ctx context.Context, a runnel.Action, id runnel.SessionID) (access, error) {
	p := runnel.PrincipalFrom(ctx)
	switch {
	case s.granted(p, a, id):
		return full, nil
	case !owns(p) && administers(p, a, id): // a service that may do nothing else
		s.trail.add(trailEntry{principal: p, action: a, session: id})
		return full, nil
	case !owns(p):
		s.denied(p, a, id, byGrants)
		return hidden, nil
	}
	found, err := s.own(ctx, p, id, "")
	switch {
	case err != nil:
		return hidden, err
	case (found != full || !p.May(a, id)) && administers(p, a, id):
		s.trail.add(trailEntry{principal: p, action: a, session: id})
		return full, nil
	case !p.May(a, id):
		found = hidden
		s.denied(p, a, id, byGrants)
	case found == hidden:
		s.denied(p, a, id, byOwner)
	}
	return found, nil
}

// denied notes that the caller was kept from a session, but not from one that
// was only looked for.
func (s *Service) denied(p *runnel.Principal, a runnel.Action, id runnel.SessionID, reason string) {
	if id != nobodys {
		s.trail.add(trailEntry{p, a, id, reason})
	}
}

// claim makes the session the caller's if it is nobody's. It is called, by
// users only, before they are shown something of it.
func (s *Service) claim(ctx context.Context, id runnel.SessionID) (access, error) {
	p := runnel.PrincipalFrom(ctx)
	return s.own(ctx, p, id, p.ID)
}

// own asks the ledger whose the session is by now, and what that means to p.
func (s *Service) own(ctx context.Context, p *runnel.Principal, id runnel.SessionID, owner string) (access, error) {
	owner, err := s.engine.Own(ctx, id, owner)
	switch {
	case err != nil:
		return hidden, err
	case owner == "":
		return unowned, nil
	case owner != p.ID:
		return hidden, nil
	}
	// The id may be a part of a request, which the copy lets go.
	s.owners.add(runnel.SessionID(strings.Clone(string(id))), owner)
	return full, nil
}

// admit returns nil if the caller may submit or publish to the session, which is
// the caller's from then on. That a name is taken cannot be hidden from a user
// who wants to begin a session of that name; what the session holds can.
func (s *Service) admit(ctx context.Context, a runnel.Action, id runnel.SessionID) error {
	p := runnel.PrincipalFrom(ctx)
	switch {
	case !p.May(a, id):
		s.denied(p, a, id, byGrants)
		return runnel.Errorf(runnel.Denied, "may not %s to this session", a)
	case s.granted(p, a, id):
		return nil
	}
	if found, err := s.claim(ctx, id); found == full || err != nil {
		return err
	}
	s.denied(p, a, id, byOwner)
	return runnel.Errorf(runnel.NotFound, "no such session")
}

// find returns the session of a generation to which the caller may do a. To
// users a generation that does not exist, or that they may not know of, costs
// the same look-ups and gives the same error.
func (s *Service) find(ctx context.Context, a runnel.Action, gen runnel.GenerationID) (runnel.SessionID, error) {
	if id, ok := s.local(gen); ok && s.granted(runnel.PrincipalFrom(ctx), a, id) {
		return id, nil
	}
	id, err := s.engine.Locate(ctx, gen)
	missing := runnel.KindOf(err) == runnel.NotFound
	if err != nil && !missing {
		return "", err
	}
	found, err := s.access(ctx, a, id) // of nobody's, if it is missing
	if err == nil && found == unowned && !missing {
		found, err = s.claim(ctx, id)
	}
	switch {
	case err != nil:
		return "", err
	case missing || found != full:
		return "", runnel.Errorf(runnel.NotFound, "no such generation")
	}
	return id, nil
}

// local returns the session of a generation that this node works on.
func (s *Service) local(gen runnel.GenerationID) (runnel.SessionID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.active[gen]; ok {
		return g.prompt.Session, true
	}
	return "", false
}
