package cni

import (
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/table"
)

// result tells what an ADD has made, after what earlier plugins of the list have. It is a function of the attachment.
func (c *call) result(a table.Attachment, mtu int) *types100.Result {
	r := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, DNS: c.DNS}
	if c.prev != nil {
		prev := *c.prev
		r.Interfaces, r.IPs, r.Routes = append(r.Interfaces, prev.Interfaces...), append(r.IPs, prev.IPs...), append(r.Routes, prev.Routes...)
		if r.DNS.IsEmpty() {
			r.DNS = prev.DNS
		}
	}
	inside := len(r.Interfaces) + 1
	r.Interfaces = append(r.Interfaces,
		&types100.Interface{Name: a.HostName, Mac: a.HostMAC, Mtu: mtu},
		&types100.Interface{Name: a.Interface, Mac: a.MAC, Mtu: mtu, Sandbox: a.Netns})
	for _, address := range a.Addresses {
		gateway := net.IP(attach.Gateway(address).AsSlice())
		r.IPs = append(r.IPs, &types100.IPConfig{Interface: &inside, Address: ipNet(attach.Single(address)), Gateway: gateway})
		if a.Further.First != "" {
			continue // the default route is the first one's
		}
		everything := netip.PrefixFrom(unspecified(address), 0)
		r.Routes = append(r.Routes, &types.Route{Dst: ipNet(everything), GW: gateway})
	}
	return r
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// checkPrev tells whether the result that the runtime has kept is what the attachment says.
func (c *call) checkPrev(a table.Attachment) error {
	if c.prev == nil {
		return invalid("prevResult: is missing", "CHECK comes with the result of the ADD")
	}
	index := -1
	for i, x := range c.prev.Interfaces {
		if x.Name == a.Interface && x.Sandbox != "" {
			index = i
		}
	}
	if index < 0 {
		return invalid("prevResult.interfaces: has no "+a.Interface+" in a sandbox", "")
	}
	for _, address := range a.Addresses {
		found := false
		for _, ip := range c.prev.IPs {
			got, ok := netip.AddrFromSlice(ip.Address.IP)
			found = found || ok && got.Unmap() == address && ip.Interface != nil && *ip.Interface == index
		}
		if !found {
			return invalid("prevResult.ips: "+address.String()+" of "+a.Interface+" is missing", "the attachment has other addresses than the runtime believes")
		}
	}
	return nil
}
