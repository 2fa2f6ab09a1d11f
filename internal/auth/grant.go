package auth

import "github.com/runnelhq/runnel"

// granted returns what a member of the groups may do. Somebody to whom none of
// the grants applies may do nothing, which is not the same as having no grants.
func granted(grants []Grant, groups []string) []runnel.Grant {
	if len(grants) == 0 {
		return nil
	}
	applying := []runnel.Grant{}
	for _, g := range grants {
		if len(g.Groups) == 0 || overlap(g.Groups, groups) {
			applying = append(applying, runnel.Grant{Actions: g.Actions, Sessions: g.Sessions})
		}
	}
	if len(applying) == 0 {
		applying = append(applying, runnel.Grant{})
	}
	return applying
}
