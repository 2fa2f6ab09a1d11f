package limit

import (
	"net/http"
	"net/netip"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/peer"
)

// addressPrefix begins the account of a caller without a name.
const addressPrefix = "address:"

// ByAddress returns p, or, if it has no id, p with the client's address as its
// account. Of an IPv6 address it is the network of 64 bits, which is what one
// client gets at the least.
func ByAddress(p *runnel.Principal, r *http.Request) *runnel.Principal {
	if p.ID != "" || p.Account != "" {
		return p
	}
	counted := *p
	counted.Account = addressPrefix + network(peer.Addr(r))
	return &counted
}

func network(addr netip.Addr) string {
	if !addr.Is6() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.String()
}
