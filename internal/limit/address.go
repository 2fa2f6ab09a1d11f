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
	counted.Account = string(appendNetwork([]byte(addressPrefix), peer.Addr(r)))
	return &counted
}

func appendNetwork(dst []byte, addr netip.Addr) []byte {
	if !addr.Is6() {
		return addr.AppendTo(dst)
	}
	network, _ := addr.Prefix(64) // fails only for addresses that are shorter
	return network.AppendTo(dst)
}

// Failed counts a request of an address that showed bad credentials, or none
// where they are required. The error is an [*Error] if it came too soon.
func (l *Limiter) Failed(r *http.Request) error {
	_, err := l.request(ByAddress(new(runnel.Principal), r), 1)
	return err
}

// Suspect returns an [*Error] if the client's address has failed as often as it
// may, so that its credentials need not be looked at. It costs other addresses
// next to nothing.
func (l *Limiter) Suspect(r *http.Request) error {
	if l.None() {
		return nil
	}
	var room [80]byte
	id := appendNetwork(append(room[:0], addressPrefix...), peer.Addr(r))
	l.mu.Lock()
	known := l.accounts[string(id)] != nil
	l.mu.Unlock()
	if !known {
		return nil
	}
	_, err := l.request(ByAddress(new(runnel.Principal), r), 0)
	return err
}
