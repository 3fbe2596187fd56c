package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go4.org/netipx"

	"weftnet.io/weftnet/internal/ipam/address"
)

// Lease is what a server has given. It is kept on disk. A zero Address: none.
type Lease struct {
	Address  netip.Prefix    `json:"address,omitzero"`
	Server   netip.Addr      `json:"server,omitzero"`
	Via      string          `json:"via,omitempty"` // MAC that the server's answer came from: the server's, or that of a relay
	Gateways []netip.Addr    `json:"gateways,omitempty"`
	Routes   []address.Route `json:"routes,omitempty"`
	DNS      address.DNS     `json:"dns,omitzero"`

	// When it is to be renewed, from any server, and when it ends. Zero: never.
	Renew  time.Time `json:"renew,omitzero"`
	Rebind time.Time `json:"rebind,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// Ended tells whether it is over.
func (l Lease) Ended(now time.Time) bool {
	return !l.Address.IsValid() || !l.Until.IsZero() && !now.Before(l.Until)
}

// limits of what is taken from a server.
const (
	shortest  = 10 * time.Second // of leases
	infinite  = 1<<32 - 1        // seconds: the lease does not end (RFC 2131 3.3)
	fewest    = 8                // bits of a subnet's length
	maxList   = 8                // name servers, gateways, search domains
	maxRoutes = 32
	maxName   = 253
)

// read takes what makes sense of an OFFER or ACK.
func (m *Machine) read(d *dhcpv4.DHCPv4, now time.Time) (l Lease, err error) {
	a, ok := netip.AddrFromSlice(d.YourIPAddr.To4())
	bits, size := d.SubnetMask().Size()
	switch {
	case !ok:
		return l, errors.New("it has no address")
	case size != 32 || bits < fewest:
		return l, fmt.Errorf("%s has no subnet mask that a network may have", a)
	}
	l.Address = netip.PrefixFrom(a, bits)
	if !usable(a) || bits < 31 && (a == l.Address.Masked().Addr() || a == netipx.PrefixLastIP(l.Address)) {
		return l, fmt.Errorf("%s is no address that a NIC may have", l.Address)
	}
	if l.Server, ok = single(d.ServerIdentifier()); !ok {
		return l, errors.New("it does not name its server")
	}
	if err := l.times(d, now); err != nil {
		return l, err
	}
	for _, ip := range d.Router() {
		if g, ok := single(ip); ok && l.onLink(g) && len(l.Gateways) < maxList {
			l.Gateways = append(l.Gateways, g)
		}
	}
	for _, ip := range d.DNS() {
		if s, ok := single(ip); ok && len(l.DNS.Nameservers) < maxList {
			l.DNS.Nameservers = append(l.DNS.Nameservers, s.String())
		}
	}
	if name := d.DomainName(); isName(name) {
		l.DNS.Domain = name
	}
	if search := d.DomainSearch(); search != nil {
		for _, name := range search.Labels {
			if isName(name) && len(l.DNS.Search) < maxList {
				l.DNS.Search = append(l.DNS.Search, name)
			}
		}
	}
	if slices.Contains(m.Config.Request, dhcpv4.OptionClasslessStaticRoute.Code()) {
		for _, r := range d.ClasslessStaticRoute() {
			l.route(r)
		}
	}
	return l, nil
}

// times reads how long a lease lasts.
func (l *Lease) times(d *dhcpv4.DHCPv4, now time.Time) error {
	whole := d.IPAddressLeaseTime(0)
	if whole == infinite*time.Second {
		return nil
	}
	if whole < shortest {
		return fmt.Errorf("its lease lasts %v, and one of less than %v is none", whole, shortest)
	}
	renew, rebind := d.IPAddressRenewalTime(whole/2), d.IPAddressRebindingTime(whole*7/8)
	if renew < time.Second || renew >= rebind || rebind >= whole { // RFC 2131 4.4.5
		renew, rebind = whole/2, whole*7/8
	}
	l.Renew, l.Rebind, l.Until = now.Add(renew), now.Add(rebind), now.Add(whole)
	return nil
}

// onLink tells whether a machine with this address can be on the lease's wire.
func (l *Lease) onLink(a netip.Addr) bool {
	return usable(a) && l.Address.Contains(a) && a != l.Address.Addr()
}

func (l *Lease) route(r *dhcpv4.Route) {
	if r == nil || r.Dest == nil || len(l.Routes) == maxRoutes {
		return
	}
	dst, ok := netipx.FromStdIPNet(r.Dest)
	gateway, known := netip.AddrFromSlice(r.Router.To4())
	if !ok || !known || !dst.Addr().Is4() || dst.Bits() < fewest || dst.Addr().IsMulticast() || dst.Addr().IsLoopback() || dst.Addr().IsLinkLocalUnicast() || !l.onLink(gateway) {
		return
	}
	l.Routes = append(l.Routes, address.Route{Destination: dst.Masked(), Gateway: gateway})
}

// single is an address of one machine.
func single(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip.To4())
	return a, ok && usable(a)
}

// usable tells whether a machine on a wire may have an address.
func usable(a netip.Addr) bool {
	b := a.As4()
	return b[0] != 0 && b[0] < 224 && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?$`)

func isName(text string) bool { return len(text) <= maxName && nameForm.MatchString(text) }
